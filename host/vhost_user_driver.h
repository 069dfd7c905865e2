// Functions whose far end is a vhost-user socket: the eSwitch listens, the VM's side connects. There
// is no PCI function, hence nothing to expose, bind or plug here; the VMaaS gives the socket to the
// VM. What remains is the proof at the end: a function is clean when nobody is connected any more.
#pragma once

#include "host/function_driver.h"

#include <chrono>
#include <functional>

namespace berth::host {

class VhostUserDriver : public FunctionDriver {
 public:
  // Whether a guest is connected to the function's socket now.
  using IsConnected = std::function<Task<bool>(Function)>;

  // `disconnect_wait`: how long reset() gives the guest to let go.
  VhostUserDriver(IsConnected is_connected, std::chrono::milliseconds disconnect_wait)
      : is_connected_(std::move(is_connected)), disconnect_wait_(disconnect_wait) {}

  std::string_view kind() const override { return "vhost-user"; }
  Task<StepOutcome> prepare(PrepareArgs args) override;
  Task<StepOutcome> expose(Function function) override;
  Task<StepOutcome> bind(Function function) override;
  Task<StepOutcome> plug(Function function, VmId vm) override;
  Task<StepOutcome> unplug(Function function, VmId vm) override;
  Task<StepOutcome> unbind(Function function) override;
  // FAILED_PRECONDITION (GUEST_STILL_CONNECTED) when the guest has not let go in time.
  Task<StepOutcome> reset(Function function) override;

 private:
  IsConnected is_connected_;
  std::chrono::milliseconds disconnect_wait_;
};

}  // namespace berth::host
