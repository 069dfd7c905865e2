// DPDK's environment of this process: started once, never twice (DPDK's own rule).
#pragma once

#include "base/error.h"

#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

struct EalOptions {
  // DPDK devices to make, in order: "net_vhost0,iface=/run/x.sock".
  std::vector<std::string> vdevs;
  // Ordinary memory is enough; hugepages are used where the host has them and this is set.
  bool use_hugepages = false;
  std::uint32_t memory_mib = 256;
};

// Pins the calling thread to the CPUs that the process may use; that thread is then DPDK's main lcore
// and the one that must make every later control call. UNAVAILABLE (EAL_FAILED) otherwise.
Result<void> start_eal(const EalOptions& options);
void stop_eal();

}  // namespace berth::dataplane::dpdk
