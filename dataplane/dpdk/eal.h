// DPDK's environment of this process: started once, never twice (DPDK's own rule).
#pragma once

#include "base/error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

struct EalOptions {
  // DPDK devices to make, in order: "net_vhost0,iface=/run/x.sock".
  std::vector<std::string> vdevs = {};
  // PCI devices to take, with their arguments: "0000:3b:00.0,dv_esw_en=1". No other one is touched.
  std::vector<std::string> pci = {};
  // Ordinary memory is enough; hugepages are used where the host has them and this is set.
  bool use_hugepages = false;
  std::uint32_t memory_mib = 256;
};

// EAL's command line. `cpus`: those that the process may use, "0,1,5". Pure.
std::vector<std::string> eal_arguments(const EalOptions& options, const std::string& cpus,
                                       const std::string& file_prefix);

// Pins the calling thread to the CPUs that the process may use; that thread is then DPDK's main lcore
// and the one that must make every later control call. UNAVAILABLE (EAL_FAILED) otherwise.
Result<void> start_eal(const EalOptions& options);
void stop_eal();

}  // namespace berth::dataplane::dpdk
