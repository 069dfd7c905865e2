// Which function an interface gets: of VFs one of the NIC nearest to what the interface shall be near, of
// others the one that has rested longest.
#pragma once

#include "agent/attachment.h"
#include "host/function_pool.h"
#include "host/host_devices.h"

#include <string>
#include <vector>

namespace berth::agent {

// What the interface shall be near: what it names, or else every device that the VM gets.
std::vector<host::PciAddress> wanted_near(const AttachIntent& intent, const InterfaceIntent& interface);

struct LeasedFunction {
  host::Function function;
  std::string detail;  // "vf3 of 0000:19:00.0, PIX to 0000:18:00.0"
};

// Errors of FunctionPool::lease(). `host_devices`: nullptr where the host's devices are not known, which is
// where functions are no VFs.
Result<LeasedFunction> lease_nearest(host::FunctionPool& functions, const host::HostDevices* host_devices,
                                     const std::vector<host::PciAddress>& near);

}  // namespace berth::agent
