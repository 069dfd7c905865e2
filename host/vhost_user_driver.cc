#include "host/vhost_user_driver.h"

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr std::chrono::milliseconds kPollInterval{20};

Task<StepOutcome> not_applicable() {
  co_return StepOutcome{StepStatus::kNotApplicable, "not applicable: port kind vhost-user"};
}

}  // namespace

// The MAC is the guest's to set; what keeps it honest is the eSwitch's admit table.
Task<StepOutcome> VhostUserDriver::prepare(PrepareArgs) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::expose(Function) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::bind(Function) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::plug(Function, VmId) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::unplug(Function, VmId) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::unbind(Function) {
  return not_applicable();
}

Task<StepOutcome> VhostUserDriver::reset(Function function) {
  const auto give_up = std::chrono::steady_clock::now() + disconnect_wait_;
  while (true) {
    const auto connected = co_await is_connected_(function);
    if (!connected) co_return pass(connected, fmt::format("vf{}", function.index));
    if (!*connected) co_return StepOutcome{StepStatus::kDone, "no guest is connected"};
    if (std::chrono::steady_clock::now() >= give_up) break;
    const auto slept = co_await sleep_for(kPollInterval);
    if (!slept) co_return pass(slept);
  }
  co_return fail(Code::kFailedPrecondition, "GUEST_STILL_CONNECTED",
                 fmt::format("vf{}: the guest is still connected to {}", function.index, function.socket));
}

}  // namespace berth::host
