#include "dataplane/dpdk/devices.h"

#include <fmt/format.h>
#include <rte_config.h>

namespace berth::dataplane::dpdk {
namespace {

// Shorter than a scheduler's tick, long enough to leave the core to others.
constexpr unsigned kIdleNapMicroseconds = 50;
// The software eSwitch has 4096 meters, as a NIC would; more only beside functions that a NIC would not have.
constexpr unsigned kMeters = 4096;
constexpr unsigned kMetersPerFunction = 3;  // Meter::Use

// "vf[0-3]"
std::string representors(std::uint16_t count) {
  return count == 1 ? "vf[0]" : fmt::format("vf[0-{}]", count - 1);
}

}  // namespace

Backing af_packet_backing(const std::string& netdev) {
  return {"net_af_packet0", fmt::format("iface={}", netdev)};
}

Backing vhost_user_backing(std::size_t index, const std::string& socket) {
  return {fmt::format("net_vhost{}", index), fmt::format("iface={}", socket)};
}

NicEswitchOptions nic_options(const EswitchConfig& eswitch) {
  return {.pci = eswitch.pci ? eswitch.pci->str() : "",
          .functions = eswitch.functions,
          .steering = steering_called(eswitch.steering)};
}

std::filesystem::path function_socket(const std::filesystem::path& socket_dir, std::uint16_t index) {
  return socket_dir / fmt::format("vf{}.sock", index);
}

Result<SoftEswitchOptions> prepare_ports(const UnderlayConfig& underlay, const EswitchConfig& eswitch) {
  std::error_code error;
  std::filesystem::create_directories(eswitch.socket_dir, error);
  if (error) {
    return fail(Code::kFailedPrecondition, "SOCKET_DIR",
                fmt::format("{}: {}", eswitch.socket_dir.string(), error.message()));
  }
  SoftEswitchOptions options{.uplink = af_packet_backing(underlay.device),
                             .unbacked_functions = eswitch.unbacked_functions,
                             .use_hugepages = eswitch.hugepages,
                             .steering = steering_called(eswitch.steering)};
  for (std::uint16_t i = 0; i < eswitch.functions; ++i) {
    const auto socket = function_socket(eswitch.socket_dir, i);
    std::filesystem::remove(socket, error);
    options.functions.push_back(vhost_user_backing(i, socket.string()));
  }
  return options;
}

EalOptions eal_options(const SoftEswitchOptions& options) {
  EalOptions eal{.use_hugepages = options.use_hugepages};
  const auto add = [&eal](const Backing& backing) {
    eal.vdevs.push_back(backing.arguments.empty() ? backing.name
                                                  : fmt::format("{},{}", backing.name, backing.arguments));
  };
  add(options.uplink);
  std::string eswitch =
      fmt::format("{},uplink={},idle_nap={}", kSoftProxy, options.uplink.name, kIdleNapMicroseconds);
  for (const Backing& function : options.functions) {
    add(function);
    eswitch += fmt::format(",function={}", function.name);
  }
  if (options.unbacked_functions != 0) {
    eswitch += fmt::format(",unbacked={0},max_meters={1}", options.unbacked_functions,
                           kMeters + kMetersPerFunction * options.unbacked_functions);
  }
  eal.vdevs.push_back(eswitch);  // last: it takes the others over
  return eal;
}

// Said although they are the driver's defaults, because the rules are made for them:
//   dv_esw_en=1        transfer rules;
//   dv_flow_en         which engine: 1 takes rules one by one, 2 templates;
//   dv_xmeta_en=0      all tag registers are ours;
//   fdb_def_rule_en=1  group 0 is a table of the driver's, behind the root that is the firmware's and the
//                      kernel's: without it group 0 is that root, where rules are slow and counters need
//                      Linux 6.4. What misses goes to the representor of its source either way, never to
//                      another port; and what we send on a representor reaches its VF.
// All four are known to every DPDK since 22.11.
EalOptions eal_options(const NicEswitchOptions& options) {
  const int engine = options.steering == SteeringMode::kHardware ? 2 : 1;
  return {.pci = {fmt::format("{},representor={},dv_flow_en={},dv_esw_en=1,dv_xmeta_en=0,fdb_def_rule_en=1",
                              options.pci, representors(options.functions), engine)},
          .use_hugepages = true,
          .memory_mib = kNicMemoryMib};
}

std::filesystem::path find_mlx5_driver() {
  std::error_code error;
  const std::filesystem::directory_iterator drivers(RTE_EAL_PMD_PATH, error);
  if (error) return {};
  for (const auto& entry : drivers) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("librte_net_mlx5.so")) return entry.path();
  }
  return {};
}

}  // namespace berth::dataplane::dpdk
