// Functions that somebody else gives to VMs: VFs of the eSwitch's NIC that are not berthd's to touch. A DPU's
// host has them while berthd runs on the DPU, or a test uses them through their own driver. There are rules
// for them, and nothing else: no step is taken, and none pretends to have been.
//
// So nothing proves that the last tenant has let go of the function, or that nothing of his is left in it.
// Who gives the function away has to do both before the next attach; until a detach has ended its VF is
// closed by the eSwitch's default drop, which is all that berthd can do.
#pragma once

#include "host/function_driver.h"

namespace berth::host {

class UnmanagedDriver : public FunctionDriver {
 public:
  std::string_view kind() const override { return "unmanaged"; }
  Task<StepOutcome> prepare(PrepareArgs args) override;
  Task<StepOutcome> set_rate(PrepareArgs args) override;
  Task<StepOutcome> expose(PrepareArgs args) override;
  Task<StepOutcome> bind(Function function) override;
  Task<StepOutcome> plug(Function function, VmId vm) override;
  Task<StepOutcome> unplug(Function function, VmId vm) override;
  Task<StepOutcome> unbind(Function function) override;
  Task<StepOutcome> reset(Function function) override;
  // Never any: nothing of it is looked at.
  Task<std::vector<std::string>> find_drift(PrepareArgs args, VmId vm) override;
  Task<void> repair(PrepareArgs args, VmId vm) override;
};

}  // namespace berth::host
