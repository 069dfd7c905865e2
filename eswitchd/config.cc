#include "eswitchd/config.h"

#include "base/config_file.h"

#include <utility>

namespace berth::eswitchd {

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
  config.underlay = read_underlay(*root, error);
  {
    Section eswitch(*root, "eswitch", error);
    read_ports(eswitch, config.eswitch);
    read_engine(eswitch, config.eswitch);
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
