// Makes a function of the eSwitch appear on this host's PCI bus, and disappear again. How depends on the NIC:
//   pool     a NIC in the host: its VFs are there since the start, and one becomes somebody's
//   slot     a device of its own in a PCIe slot that can be switched on
//   virtnet  a DPU, which plugs an emulated device into the host
// Every provider waits until the kernel shows the function in sysfs; uevents make it look, they prove
// nothing.
#pragma once

#include "base/task.h"
#include "host/function_driver.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::host {

struct Exposed {
  PciAddress address;
  std::string detail;  // how it was seen
};

class HotplugProvider {
 public:
  virtual ~HotplugProvider() = default;
  virtual std::string_view kind() const = 0;

  // The function is on the host. Idempotent. The errors are the provider's, each with a reason;
  // DEADLINE_EXCEEDED (FUNCTION_DID_NOT_APPEAR) when the kernel does not show it in time.
  virtual Task<Exposed> expose(PrepareArgs args) = 0;

  // Where it is now; nothing: not on the host.
  virtual Task<std::optional<PciAddress>> find(Function function) = 0;

  // The function is back where it came from, after it was proven clean. Idempotent.
  virtual Task<std::string> withdraw(Function function) = 0;
};

}  // namespace berth::host
