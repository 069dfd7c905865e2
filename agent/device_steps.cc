#include "agent/device_steps.h"

#include "agent/interface_steps.h"

#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

// Behind the functions, of which a VM has several: only one of its attachments has devices.
constexpr std::size_t kFirstDeviceNumber = 64;

using host::Passthrough;
using host::StepOutcome;

Task<StepOutcome> bind(Passthrough& passthrough, const Attachment& attachment, std::size_t index) {
  return passthrough.bind(attachment.devices[index]);
}
Task<StepOutcome> plug(Passthrough& passthrough, const Attachment& attachment, std::size_t index) {
  return passthrough.plug(vm_device(attachment, index), attachment.vm);
}
Task<StepOutcome> unplug(Passthrough& passthrough, const Attachment& attachment, std::size_t index) {
  return passthrough.unplug(vm_device(attachment, index).id, attachment.vm);
}
Task<StepOutcome> unbind(Passthrough& passthrough, const Attachment& attachment, std::size_t index) {
  return passthrough.unbind(attachment.devices[index]);
}
Task<StepOutcome> reset(Passthrough& passthrough, const Attachment& attachment, std::size_t index) {
  return passthrough.reset(attachment.devices[index]);
}

using DeviceStep = Task<StepOutcome> (*)(Passthrough&, const Attachment&, std::size_t);

Task<StepOutcome> for_each_device(Passthrough* passthrough, Attachment attachment, DeviceStep step) {
  StepOutcome all{.status = host::StepStatus::kNotApplicable};
  for (std::size_t i = 0; i < attachment.devices.size(); ++i) {
    if (passthrough == nullptr)
      co_return fail(Code::kFailedPrecondition, "DEVICE_NOT_ALLOWED", "this host passes no devices through");
    auto outcome = co_await step(*passthrough, attachment, i);
    if (!outcome) co_return pass(outcome, fmt::format("device {}", attachment.devices[i]));
    all = both(std::move(all), *std::move(outcome));
  }
  co_return all;
}

}  // namespace

// An attachment's id is never used again: what a former lease left in a VM cannot be taken for this one's.
host::VmDevice vm_device(const Attachment& attachment, std::size_t index) {
  return {.id = fmt::format("berth-{}-d{}", attachment.id, index),
          .device = host::VfioDevice{attachment.devices[index]},
          .number = static_cast<std::uint8_t>(kFirstDeviceNumber + index)};
}

Task<StepOutcome> bind_devices(Passthrough* passthrough, Attachment attachment) {
  return for_each_device(passthrough, std::move(attachment), bind);
}
Task<StepOutcome> plug_devices(Passthrough* passthrough, Attachment attachment) {
  return for_each_device(passthrough, std::move(attachment), plug);
}
Task<StepOutcome> unplug_devices(Passthrough* passthrough, Attachment attachment) {
  return for_each_device(passthrough, std::move(attachment), unplug);
}
Task<StepOutcome> unbind_devices(Passthrough* passthrough, Attachment attachment) {
  return for_each_device(passthrough, std::move(attachment), unbind);
}
Task<StepOutcome> reset_devices(Passthrough* passthrough, Attachment attachment) {
  return for_each_device(passthrough, std::move(attachment), reset);
}

}  // namespace berth::agent
