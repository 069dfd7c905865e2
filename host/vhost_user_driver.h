// Functions whose far end is a vhost-user socket: the eSwitch listens, the VM's side connects. There
// is no PCI function, hence nothing to expose or bind. With a VmPlug the VM gets a virtio-net on that
// socket; without one there is nothing to plug either, and the VMaaS gives the socket to the VM. What
// remains is the proof: before an attach and after a detach nobody may be connected. A guest that has
// unbound its driver is still connected: what counts is the socket, not the link.
#pragma once

#include "host/function_driver.h"
#include "host/vm_plug.h"

#include <chrono>

namespace berth::host {

// The function as a device of a VM.
VmDevice vhost_user_device(const Function& function);

class VhostUserDriver : public FunctionDriver {
 public:
  // `disconnect_wait`: how long a guest gets to let go of its socket. `plug`, if there is one, outlives the
  // driver.
  explicit VhostUserDriver(std::chrono::milliseconds disconnect_wait, VmPlug* plug = nullptr)
      : disconnect_wait_(disconnect_wait), plug_(plug) {}

  std::string_view kind() const override { return "vhost-user"; }
  // FAILED_PRECONDITION (GUEST_STILL_CONNECTED) when somebody is connected already, and stays so.
  Task<StepOutcome> prepare(PrepareArgs args) override;
  Task<StepOutcome> expose(PrepareArgs args) override;
  Task<StepOutcome> bind(Function function) override;
  // Errors of VmPlug. A VM that does not run is done: it gets the device with its start arguments.
  Task<StepOutcome> plug(Function function, VmId vm) override;
  Task<StepOutcome> unplug(Function function, VmId vm) override;
  Task<StepOutcome> unbind(Function function) override;
  // FAILED_PRECONDITION (GUEST_STILL_CONNECTED) when the guest has not let go in time.
  Task<StepOutcome> reset(Function function) override;
  Task<StepOutcome> set_rate(PrepareArgs args) override;
  Task<std::vector<std::string>> find_drift(PrepareArgs args, VmId vm) override;
  Task<void> repair(PrepareArgs args, VmId vm) override;

 private:
  // Errors of prepare() and reset().
  Task<void> wait_until_alone(Function function);

  std::chrono::milliseconds disconnect_wait_;
  VmPlug* plug_;
};

}  // namespace berth::host
