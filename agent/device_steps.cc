#include "agent/device_steps.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

using host::Passthrough;
using host::PciAddress;
using host::StepOutcome;

// An attachment's id is never used again: what a former lease left in a VM cannot be taken for this one's.
std::string device_id(const Attachment& attachment, PciAddress device) {
  const auto& devices = attachment.intent.devices;
  return fmt::format("berth-{}-d{}", attachment.id, std::ranges::find(devices, device) - devices.begin());
}

Task<StepOutcome> bind(Passthrough& passthrough, const Attachment&, PciAddress device) {
  return passthrough.bind(device);
}
Task<StepOutcome> plug(Passthrough& passthrough, const Attachment& attachment, PciAddress device) {
  return passthrough.plug(device, device_id(attachment, device), attachment.intent.vm);
}
Task<StepOutcome> unplug(Passthrough& passthrough, const Attachment& attachment, PciAddress device) {
  return passthrough.unplug(device_id(attachment, device), attachment.intent.vm);
}
Task<StepOutcome> unbind(Passthrough& passthrough, const Attachment&, PciAddress device) {
  return passthrough.unbind(device);
}
Task<StepOutcome> reset(Passthrough& passthrough, const Attachment&, PciAddress device) {
  return passthrough.reset(device);
}

using DeviceStep = Task<StepOutcome> (*)(Passthrough&, const Attachment&, PciAddress);

Task<StepOutcome> for_each_device(Passthrough* passthrough, Attachment attachment, DeviceStep step) {
  StepOutcome all{.status = host::StepStatus::kNotApplicable};
  for (const PciAddress& device : attachment.intent.devices) {
    if (passthrough == nullptr)
      co_return fail(Code::kFailedPrecondition, "DEVICE_NOT_ALLOWED", "this host passes no devices through");
    auto outcome = co_await step(*passthrough, attachment, device);
    if (!outcome) co_return pass(outcome, fmt::format("device {}", device));
    all = both(std::move(all), *std::move(outcome));
  }
  co_return all;
}

}  // namespace

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

StepOutcome both(StepOutcome first, StepOutcome second) {
  if (second.status == host::StepStatus::kDone) first.status = host::StepStatus::kDone;
  if (!first.detail.empty() && !second.detail.empty()) first.detail += "; ";
  first.detail += second.detail;
  if (first.at_start && second.at_start) {
    first.at_start->qemu.insert(first.at_start->qemu.end(), second.at_start->qemu.begin(),
                                second.at_start->qemu.end());
    first.at_start->libvirt_xml += second.at_start->libvirt_xml;
  } else if (second.at_start) {
    first.at_start = std::move(second.at_start);
  }
  return first;
}

}  // namespace berth::agent
