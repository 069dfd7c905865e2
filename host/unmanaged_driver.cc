#include "host/unmanaged_driver.h"

namespace berth::host {
namespace {

Task<StepOutcome> not_ours() {
  co_return StepOutcome{StepStatus::kNotApplicable, "not applicable: port kind unmanaged"};
}

}  // namespace

Task<StepOutcome> UnmanagedDriver::prepare(PrepareArgs) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::set_rate(PrepareArgs) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::expose(PrepareArgs) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::bind(Function) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::plug(Function, VmId) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::unplug(Function, VmId) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::unbind(Function) {
  return not_ours();
}
Task<StepOutcome> UnmanagedDriver::reset(Function) {
  return not_ours();
}

Task<std::vector<std::string>> UnmanagedDriver::find_drift(PrepareArgs, VmId) {
  co_return std::vector<std::string>();
}

Task<void> UnmanagedDriver::repair(PrepareArgs, VmId) {
  co_return Result<void>();
}

}  // namespace berth::host
