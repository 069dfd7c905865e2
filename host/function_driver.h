// What a kind of eSwitch function needs on the host besides rules: exposing it, binding it, plugging
// it into the VM, and the way back. A step that a kind does not have says so; it never pretends.
// Every step is idempotent.
#pragma once

#include "base/ids.h"
#include "base/mac_address.h"
#include "base/task.h"
#include "host/pci_address.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::host {

// A function of the eSwitch, leased to one attachment.
struct Function {
  std::uint16_t index = 0;            // vf<index>
  std::string socket = {};            // vhost-user: the listening unix socket
  std::uint64_t generation = 0;       // how many leases it has had before this one
  MacAddress mac = {};                // of the interface that it is leased for
  std::optional<PciAddress> address;  // of a PCI function, once it is exposed
  std::optional<PciAddress> pf = {};  // of a VF: what it is a part of
  // The eSwitch has rules for it, and no VM can ever be behind it. Made for measurements, by a key of the
  // configuration that says so.
  bool is_unbacked = false;
  // A VF that somebody else gives to VMs (unmanaged_driver.h).
  bool is_unmanaged = false;
};

enum class StepStatus : std::uint8_t { kDone, kNotApplicable };

struct StepOutcome {
  StepStatus status = StepStatus::kDone;
  std::string detail = {};
  std::optional<PciAddress> address = {};  // expose: where the function is now
};

// What the VM's interface shall be.
struct PrepareArgs {
  Function function;
  std::uint32_t mtu_bytes = 0;
  std::uint64_t max_rate_from_vm = 0;  // bit/s; 0: no limit
};

class FunctionDriver {
 public:
  virtual ~FunctionDriver() = default;
  virtual std::string_view kind() const = 0;  // "vhost-user"

  // Attach, in this order.
  virtual Task<StepOutcome> prepare(PrepareArgs args) = 0;         // admin MAC, rate
  virtual Task<StepOutcome> expose(PrepareArgs args) = 0;          // PCIe hotplug into the host
  virtual Task<StepOutcome> bind(Function function) = 0;           // vfio-pci, IOMMU group
  virtual Task<StepOutcome> plug(Function function, VmId vm) = 0;  // into the VM
  // Detach, in this order.
  virtual Task<StepOutcome> unplug(Function function, VmId vm) = 0;
  virtual Task<StepOutcome> unbind(Function function) = 0;
  // Proves that nothing of the last owner is left; an error sends the function into quarantine.
  virtual Task<StepOutcome> reset(Function function) = 0;

  // Of an attached function, which its VM may be using: another rate, and nothing else. Idempotent.
  virtual Task<StepOutcome> set_rate(PrepareArgs args) = 0;

  // Of an attached function: what on the host is not as the steps of the attach have left it, a line each.
  // Nothing is changed. A VM that does not run has lost nothing.
  virtual Task<std::vector<std::string>> find_drift(PrepareArgs args, VmId vm) = 0;
  // Makes it so again. Idempotent.
  virtual Task<void> repair(PrepareArgs args, VmId vm) = 0;
};

}  // namespace berth::host
