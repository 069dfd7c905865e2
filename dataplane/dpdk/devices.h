// Which DPDK devices make an eSwitch: the software one on its backings, or the physical function of a
// ConnectX with the representors of its VFs. Pure: what DPDK is started with, and what the uplink's ethdev is
// called then.
//
// **The mlx5 half has never been run: no NIC was at hand.** The arguments are those of DPDK 22.11's
// doc/guides/nics/mlx5.rst, and its parsers know them (drivers/net/mlx5/mlx5.c).
#pragma once

#include "base/eswitch_config.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/steering_mode.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

// The DPDK device behind a port of the software eSwitch.
struct Backing {
  std::string name;       // "net_vhost0": driver and instance
  std::string arguments;  // "iface=/run/berth/vf0.sock"
};
Backing af_packet_backing(const std::string& netdev);
// A vhost-user socket on which the eSwitch listens; `index` tells instances apart.
Backing vhost_user_backing(std::size_t index, const std::string& socket);

struct SoftEswitchOptions {
  Backing uplink;
  std::vector<Backing> functions;        // the index is the function's
  std::uint16_t unbacked_functions = 0;  // behind the others; PortState::is_unbacked
  bool use_hugepages = false;
  SteeringMode steering = SteeringMode::kSoftware;
};

struct NicEswitchOptions {
  std::string pci;              // of the PF, in switchdev mode: "0000:3b:00.0"
  std::uint16_t functions = 0;  // VFs 0 and on
  SteeringMode steering = SteeringMode::kSoftware;
};
NicEswitchOptions nic_options(const EswitchConfig& eswitch);

// Where the VM's side of a function of the software eSwitch connects.
std::filesystem::path function_socket(const std::filesystem::path& socket_dir, std::uint16_t index);
// The software eSwitch as a host's configuration wants it. Makes the folder of the sockets; those of a killed
// predecessor are removed. FAILED_PRECONDITION (SOCKET_DIR).
Result<SoftEswitchOptions> prepare_ports(const UnderlayConfig& underlay, const EswitchConfig& eswitch);

EalOptions eal_options(const SoftEswitchOptions& options);
EalOptions eal_options(const NicEswitchOptions& options);

// The ethdev of the uplink, to which the rules go.
constexpr const char* kSoftProxy = "net_berth0";
inline const std::string& proxy_of(const NicEswitchOptions& options) {
  return options.pci;
}

// What DPDK needs of hugepages for a NIC before its first rule.
constexpr std::uint64_t kNicMemoryMib = 512;
// The driver's shared library, where DPDK looks for drivers; empty: it is not installed.
std::filesystem::path find_mlx5_driver();

}  // namespace berth::dataplane::dpdk
