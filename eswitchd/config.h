// berth-eswitchd's configuration file (TOML); docs/examples/berth-eswitchd.toml is a commented one.
#pragma once

#include "base/error.h"
#include "base/eswitch_config.h"
#include "base/log.h"

#include <filesystem>
#include <string>

namespace berth::eswitchd {

struct Config {
  std::filesystem::path socket;  // where berthd connects
  UnderlayConfig underlay;
  EswitchConfig eswitch;
  LogLevel log_level = LogLevel::kInfo;
};

// NOT_FOUND when the file cannot be read, INVALID_ARGUMENT (BAD_CONFIG) naming the key otherwise.
Result<Config> load_config(const std::filesystem::path& file);
Result<Config> parse_config(const std::string& text, const std::string& name);

}  // namespace berth::eswitchd
