// berth-eswitchd's configuration file (TOML); docs/examples/berth-eswitchd.toml is a commented one.
#pragma once

#include "base/error.h"
#include "base/ip_address.h"
#include "base/log.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace berth::eswitchd {

struct Config {
  std::filesystem::path socket;  // where berthd connects
  struct Underlay {
    std::string device;  // netdev of the wire
    IpAddress vtep;      // an address of that device
  } underlay;
  struct Eswitch {
    std::uint16_t functions = 0;
    std::uint16_t unbacked_functions = 0;  // for measurements: VMs attached there get no packets
    std::filesystem::path socket_dir;
    bool hugepages = false;
    std::string steering = "sws";  // or "hws": mlx5's two engines
  } eswitch;
  LogLevel log_level = LogLevel::kInfo;
};

// NOT_FOUND when the file cannot be read, INVALID_ARGUMENT (BAD_CONFIG) naming the key otherwise.
Result<Config> load_config(const std::filesystem::path& file);
Result<Config> parse_config(const std::string& text, const std::string& name);

}  // namespace berth::eswitchd
