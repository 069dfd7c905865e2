#include "agent/config.h"

#include "base/config_file.h"

#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

constexpr std::int64_t kMaxAuditIntervalSeconds = 86400;

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
  const bool is_remote = config.eswitch.kind == "remote";
  if (!is_remote && config.eswitch.kind != "embedded")
    eswitch.complain("kind", "must be \"embedded\" or \"remote\"");
  if (is_remote) config.eswitch.socket = eswitch.required_string("socket");
  config.eswitch.functions = static_cast<std::uint16_t>(eswitch.integer("functions", 4, 1, kMaxFunctions));
  config.eswitch.socket_dir = eswitch.required_string("socket_dir");
  if (is_remote) return;
  config.eswitch.hugepages = eswitch.boolean("hugepages", false);
  config.eswitch.steering = eswitch.string("steering", "sws");
  if (config.eswitch.steering != "sws" && config.eswitch.steering != "hws")
    eswitch.complain("steering", "must be \"sws\" or \"hws\"");
}

void read_rest(const toml::value& root, Config& config, Error& error) {
  Section attach(root, "attach", error);
  config.attach.vpc_wait_ms = static_cast<std::uint32_t>(attach.integer("vpc_wait_ms", 1000, 0, 60000));
  Section agent(root, "agent", error);
  config.agent.state_dir = agent.string("state_dir", "");
  if (config.eswitch.kind == "remote" && config.agent.state_dir.empty())
    agent.complain("state_dir", "is required beside a remote eSwitch: without it rules cannot be adopted");
  config.agent.audit_interval_s =
      static_cast<std::uint32_t>(agent.integer("audit_interval_s", 30, 0, kMaxAuditIntervalSeconds));
  config.log.level = read_log_level(root, error);
}

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& name) {
  const auto root = parse_toml(text, name);
  if (!root) return pass(root);
  Config config;
  Error error{.code = Code::kInvalidArgument, .message = ""};
  check_sections(*root, {"api", "underlay", "eswitch", "agent", "attach", "log"}, error);
  read_api(*root, config, error);
  read_underlay(*root, config, error);
  read_eswitch(*root, config, error);
  read_rest(*root, config, error);
  if (!error.message.empty()) return std::unexpected(std::move(error).in(name));
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  const auto text = read_config_file(file);
  if (!text) return pass(text);
  return parse_config(*text, file.string());
}

}  // namespace berth::agent
