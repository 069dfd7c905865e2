#include "eswitchd/config.h"

#include "base/config_file.h"

#include <utility>

namespace berth::eswitchd {
namespace {

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

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& name) {
  const auto root = parse_toml(text, name);
  if (!root) return pass(root);
  Config config;
  Error error{.code = Code::kInvalidArgument, .message = ""};
  check_sections(*root, {"holder", "underlay", "eswitch", "log"}, error);
  {
    Section holder(*root, "holder", error);
    config.socket = holder.required_string("socket");
  }
  read_underlay(*root, config, error);
  {
    Section eswitch(*root, "eswitch", error);
    config.eswitch.functions = static_cast<std::uint16_t>(eswitch.integer("functions", 4, 1, kMaxFunctions));
    config.eswitch.unbacked_functions =
        static_cast<std::uint16_t>(eswitch.integer("unbacked_functions", 0, 0, kMaxUnbackedFunctions));
    config.eswitch.socket_dir = eswitch.required_string("socket_dir");
    config.eswitch.hugepages = eswitch.boolean("hugepages", false);
    config.eswitch.steering = eswitch.string("steering", "sws");
    if (config.eswitch.steering != "sws" && config.eswitch.steering != "hws")
      eswitch.complain("steering", "must be \"sws\" or \"hws\"");
  }
  config.log_level = read_log_level(*root, error);
  if (!error.message.empty()) return std::unexpected(std::move(error).in(name));
  return config;
}

Result<Config> load_config(const std::filesystem::path& file) {
  const auto text = read_config_file(file);
  if (!text) return pass(text);
  return parse_config(*text, file.string());
}

}  // namespace berth::eswitchd
