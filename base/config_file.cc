#include "base/config_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace berth {
namespace {

// Port ids of a software eSwitch with its backing devices fill DPDK's table of 32 ethdevs: the uplink twice
// and every function twice.
constexpr std::int64_t kMaxFunctions = 15;
// A NIC's take one each, and so does its uplink.
constexpr std::int64_t kMaxNicFunctions = 31;
// Functions without a device are for measurements only; their digests fit one message of the rule holder.
constexpr std::int64_t kMaxUnbackedFunctions = 10240;

}  // namespace

Result<std::string> read_config_file(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) return fail(Code::kNotFound, "BAD_CONFIG", fmt::format("cannot read {}", file.string()));
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

Result<toml::value> parse_toml(const std::string& text, const std::string& name) {
  try {
    std::istringstream stream(text);
    return toml::parse(stream, name);
  } catch (const std::exception& error) {
    return fail(Code::kInvalidArgument, "BAD_CONFIG", error.what());
  }
}

void check_sections(const toml::value& root, const std::set<std::string>& known, Error& first_error) {
  for (const auto& [key, value] : root.as_table()) {
    if (!known.contains(key) && first_error.message.empty())
      first_error = fail_field(key, "BAD_CONFIG", "is not a known section").error();
  }
}

LogLevel read_log_level(const toml::value& root, Error& first_error) {
  Section log(root, "log", first_error);
  const std::string level = log.string("level", "info");
  if (level == "debug") return LogLevel::kDebug;
  if (level == "warning") return LogLevel::kWarning;
  if (level == "error") return LogLevel::kError;
  if (level != "info") log.complain("level", "must be debug, info, warning or error");
  return LogLevel::kInfo;
}

UnderlayConfig read_underlay(const toml::value& root, Error& first_error) {
  UnderlayConfig config;
  Section underlay(root, "underlay", first_error);
  config.device = underlay.required_string("device");
  const std::string text = underlay.required_string("vtep");
  const auto vtep = IpAddress::parse("vtep", text);
  if (vtep && !vtep->is_multicast() && !vtep->is_unspecified()) {
    config.vtep = *vtep;
  } else {
    underlay.complain("vtep", "must be a unicast address");
  }
  return config;
}

void read_ports(Section& eswitch, EswitchConfig& config) {
  if (const std::string text = eswitch.string("pci", ""); !text.empty()) {
    const auto pci = PciAddress::parse("pci", text);
    if (!pci) eswitch.complain("pci", fmt::format("'{}' is not a PCI address like 0000:3b:00.0", text));
    config.pci = pci.value_or(PciAddress());
  }
  const std::int64_t most = !config.pci ? kMaxFunctions : kMaxNicFunctions;
  config.functions = static_cast<std::uint16_t>(eswitch.integer("functions", 4, 1, most));
  config.unbacked_functions =
      static_cast<std::uint16_t>(eswitch.integer("unbacked_functions", 0, 0, kMaxUnbackedFunctions));
  if (!config.pci) {
    config.socket_dir = eswitch.required_string("socket_dir");
    return;
  }
  if (!eswitch.string("socket_dir", "").empty())
    eswitch.complain("socket_dir", "is of the software eSwitch; the functions of a NIC (pci) are its VFs");
  if (config.unbacked_functions != 0)
    eswitch.complain("unbacked_functions", "are of the software eSwitch; a NIC (pci) has none");
}

void read_engine(Section& eswitch, EswitchConfig& config) {
  const bool is_nic = config.pci.has_value();
  config.hugepages = eswitch.boolean("hugepages", is_nic);
  if (is_nic && !config.hugepages)
    eswitch.complain("hugepages", "must be true, or not here, with a NIC (pci): its driver needs them");
  config.steering = eswitch.string("steering", "sws");
  if (config.steering != "sws" && config.steering != "hws")
    eswitch.complain("steering", "must be \"sws\" or \"hws\"");
}

Section::Section(const toml::value& root, std::string name, Error& first_error)
    : name_(std::move(name)), error_(first_error) {
  if (!root.contains(name_)) return;
  const toml::value& value = root.at(name_);
  if (value.is_table()) {
    table_ = value.as_table();
  } else {
    complain(name_, "must be a table");
  }
}

Section::~Section() {
  for (const auto& [key, value] : table_) {
    if (!asked_.contains(key)) complain(key, "is not a known key");
  }
}

std::string Section::required_string(const std::string& key) {
  auto text = string(key, "");
  if (text.empty()) complain(key, "is required");
  return text;
}

std::string Section::string(const std::string& key, std::string otherwise) {
  const toml::value* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_string()) return value->as_string().str;
  complain(key, "must be a string");
  return otherwise;
}

std::int64_t Section::integer(const std::string& key, std::int64_t otherwise, std::int64_t least,
                              std::int64_t most) {
  const toml::value* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_integer() && value->as_integer() >= least && value->as_integer() <= most)
    return value->as_integer();
  complain(key, fmt::format("must be a number from {} to {}", least, most));
  return otherwise;
}

bool Section::boolean(const std::string& key, bool otherwise) {
  const toml::value* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->as_boolean();
  complain(key, "must be true or false");
  return otherwise;
}

std::vector<std::string> Section::strings(const std::string& key) {
  const toml::value* value = find(key);
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  const auto is_text = [](const toml::value& item) { return item.is_string(); };
  if (!value->is_array() || !std::ranges::all_of(value->as_array(), is_text)) {
    complain(key, "must be a list of strings");
    return texts;
  }
  for (const toml::value& item : value->as_array()) texts.push_back(item.as_string().str);
  return texts;
}

void Section::complain(const std::string& key, const std::string& why) {
  if (error_.message.empty())
    error_ = fail_field(fmt::format("{}.{}", name_, key), "BAD_CONFIG", why).error();
}

const toml::value* Section::find(const std::string& key) {
  asked_.insert(key);
  const auto found = table_.find(key);
  return found == table_.end() ? nullptr : &found->second;
}

}  // namespace berth
