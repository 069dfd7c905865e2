#include "agent/config.h"

#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <toml.hpp>

namespace berth::agent {
namespace {

// Port ids of an eSwitch with its backing devices fill DPDK's table of 32 ethdevs: the uplink twice
// and every function twice.
constexpr std::int64_t kMaxFunctions = 15;

// One table of the file. Remembers the first thing that is wrong, and which keys nobody asked for.
class Section {
 public:
  Section(const toml::value& root, std::string name, Error& first_error)
      : name_(std::move(name)), error_(first_error) {
    if (!root.contains(name_)) return;
    const toml::value& value = root.at(name_);
    if (value.is_table()) {
      table_ = value.as_table();
    } else {
      complain(name_, "must be a table");
    }
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section() {
    for (const auto& [key, value] : table_) {
      if (!asked_.contains(key)) complain(key, "is not a known key");
    }
  }

  std::string required_string(const std::string& key) {
    auto text = string(key, "");
    if (text.empty()) complain(key, "is required");
    return text;
  }
  std::string string(const std::string& key, std::string otherwise) {
    const toml::value* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->is_string()) return value->as_string().str;
    complain(key, "must be a string");
    return otherwise;
  }
  std::int64_t integer(const std::string& key, std::int64_t otherwise, std::int64_t least,
                       std::int64_t most) {
    const toml::value* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->is_integer() && value->as_integer() >= least && value->as_integer() <= most)
      return value->as_integer();
    complain(key, fmt::format("must be a number from {} to {}", least, most));
    return otherwise;
  }
  bool boolean(const std::string& key, bool otherwise) {
    const toml::value* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->is_boolean()) return value->as_boolean();
    complain(key, "must be true or false");
    return otherwise;
  }
  void complain(const std::string& key, const std::string& why) {
    if (error_.message.empty()) {
      error_ = fail_field(fmt::format("{}.{}", name_, key), "BAD_CONFIG", why).error();
    }
  }

 private:
  const toml::value* find(const std::string& key) {
    asked_.insert(key);
    const auto found = table_.find(key);
    return found == table_.end() ? nullptr : &found->second;
  }

  std::string name_;
  toml::table table_;
  std::set<std::string> asked_;
  Error& error_;
};

void read_api(const toml::value& root, Config& config, Error& error) {
  Section api(root, "api", error);
  config.api.listen = api.required_string("listen");
  config.api.certificate = api.required_string("certificate");
  config.api.private_key = api.required_string("private_key");
  config.api.trusted_ca = api.required_string("trusted_ca");
  config.api.trust_domain = api.required_string("trust_domain");
}

void read_underlay(const toml::value& root, Config& config, Error& error) {
  Section underlay(root, "underlay", error);
  config.underlay.device = underlay.required_string("device");
  const std::string text = underlay.required_string("vtep");
  const auto vtep = IpAddress::parse("vtep", text);
  if (vtep && !vtep->is_multicast() && !vtep->is_unspecified()) {
    config.underlay.vtep = *vtep;
  } else {
    underlay.complain("vtep", "must be a unicast address");
  }
}

void read_eswitch(const toml::value& root, Config& config, Error& error) {
  Section eswitch(root, "eswitch", error);
  config.eswitch.kind = eswitch.string("kind", "embedded");
  if (config.eswitch.kind != "embedded") eswitch.complain("kind", "only \"embedded\" is supported");
  config.eswitch.functions = static_cast<std::uint16_t>(eswitch.integer("functions", 4, 1, kMaxFunctions));
  config.eswitch.socket_dir = eswitch.required_string("socket_dir");
  config.eswitch.hugepages = eswitch.boolean("hugepages", false);
  config.eswitch.steering = eswitch.string("steering", "sws");
  if (config.eswitch.steering != "sws" && config.eswitch.steering != "hws")
    eswitch.complain("steering", "must be \"sws\" or \"hws\"");
}

void read_rest(const toml::value& root, Config& config, Error& error) {
  Section attach(root, "attach", error);
  config.attach.vpc_wait_ms = static_cast<std::uint32_t>(attach.integer("vpc_wait_ms", 1000, 0, 60000));
  Section log(root, "log", error);
  const std::string level = log.string("level", "info");
  if (level == "debug") config.log.level = LogLevel::kDebug;
  if (level == "warning") config.log.level = LogLevel::kWarning;
  if (level == "error") config.log.level = LogLevel::kError;
  if (level != "debug" && level != "info" && level != "warning" && level != "error") {
    log.complain("level", "must be debug, info, warning or error");
  }
}

void check_sections(const toml::value& root, Error& error) {
  static const std::set<std::string> known = {"api", "underlay", "eswitch", "attach", "log"};
  for (const auto& [key, value] : root.as_table()) {
    if (!known.contains(key) && error.message.empty())
      error = fail_field(key, "BAD_CONFIG", "is not a known section").error();
  }
}

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& name) {
  toml::value root;
  try {
    std::istringstream stream(text);
    root = toml::parse(stream, name);
  } catch (const std::exception& error) {
    return fail(Code::kInvalidArgument, "BAD_CONFIG", error.what());
  }
  Config config;
  Error error{.code = Code::kInvalidArgument, .message = ""};
  check_sections(root, error);
  read_api(root, config, error);
  read_underlay(root, config, error);
  read_eswitch(root, config, error);
  read_rest(root, config, error);
  if (!error.message.empty()) return std::unexpected(std::move(error).in(name));
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) return fail(Code::kNotFound, "BAD_CONFIG", fmt::format("cannot read {}", file.string()));
  std::ostringstream text;
  text << stream.rdbuf();
  return parse_config(text.str(), file.string());
}

}  // namespace berth::agent
