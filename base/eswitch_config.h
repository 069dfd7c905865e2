// What berthd and berth-eswitchd are told alike of this host: the sections "underlay" and "eswitch" of their
// configuration files. base/config_file.h reads them.
#pragma once

#include "base/ip_address.h"
#include "base/pci_address.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace berth {

struct UnderlayConfig {
  std::string device;  // netdev of the uplink
  IpAddress vtep;      // an address of that device
};

struct EswitchConfig {
  std::uint16_t functions = 0;
  std::uint16_t unbacked_functions = 0;  // for measurements: VMs attached there get no packets
  std::optional<PciAddress> pci;         // of the PF whose eSwitch it is; none: the software eSwitch
  std::filesystem::path socket_dir;      // of the software eSwitch
  bool hugepages = false;
  // Which of mlx5's engines the rules are made for: "sws" (synchronous rte_flow) or "hws" (templates).
  std::string steering = "sws";
};

}  // namespace berth
