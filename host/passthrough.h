// Gives one PCI function of the host to a VM and takes it back: the same way for a VF, a GPU, an NVMe drive.
// The steps are those of FunctionDriver; each is idempotent.
#pragma once

#include "host/function_driver.h"
#include "host/vfio/vfio.h"
#include "host/vm_plug.h"

#include <string>
#include <vector>

namespace berth::host {

class Passthrough {
 public:
  // Both outlive it.
  Passthrough(Vfio& vfio, VmPlug& vms) : vfio_(vfio), vms_(vms) {}

  Task<StepOutcome> bind(PciAddress function);
  // `device` is a VfioDevice; its id is never the same for two leases.
  Task<StepOutcome> plug(VmDevice device, VmId vm);

  Task<StepOutcome> unplug(std::string device_id, VmId vm);
  Task<StepOutcome> unbind(PciAddress function);
  // Reset, proven alive, and free for any driver.
  Task<StepOutcome> reset(PciAddress function);

  // Of a device that was plugged: what is not so any more, a line each; and makes it so again.
  Task<std::vector<std::string>> find_drift(VmDevice device, VmId vm);
  Task<void> repair(VmDevice device, VmId vm);

  // Nobody has it now: before it is prepared for a new owner.
  Task<void> check_free(PciAddress function) { return vfio_.check_not_held(function); }

 private:
  Vfio& vfio_;
  VmPlug& vms_;
};

}  // namespace berth::host
