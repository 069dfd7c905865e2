#include "host/passthrough.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

StepOutcome done(std::string detail) {
  return {.detail = std::move(detail)};
}

}  // namespace

Task<StepOutcome> Passthrough::bind(PciAddress function) {
  const auto group = co_await vfio_.bind(function);
  if (!group) co_return pass(group);
  co_return done(fmt::format("{} on vfio-pci, IOMMU group {}", function, *group));
}

Task<StepOutcome> Passthrough::plug(VmDevice device, VmId vm) {
  const std::string id = device.id;
  const auto plugged = co_await vms_.plug(std::move(vm), std::move(device));
  if (!plugged) co_return pass(plugged, id);
  co_return done(fmt::format("{}: {}", id, plugged->detail));
}

Task<StepOutcome> Passthrough::unplug(std::string device_id, VmId vm) {
  auto unplugged = co_await vms_.unplug(std::move(vm), device_id);
  if (!unplugged) co_return pass(unplugged, device_id);
  co_return done(*std::move(unplugged));
}

Task<StepOutcome> Passthrough::unbind(PciAddress function) {
  const auto unbound = co_await vfio_.unbind(function);
  if (!unbound) co_return pass(unbound);
  co_return done(fmt::format("{} has no driver", function));
}

Task<StepOutcome> Passthrough::reset(PciAddress function) {
  const auto method = co_await vfio_.reset(function);
  if (!method) co_return pass(method);
  const auto cleared = co_await vfio_.clear_override(function);
  if (!cleared) co_return pass(cleared);
  co_return done(fmt::format("{}: reset {}", function, *method));
}

Task<std::vector<std::string>> Passthrough::find_drift(VmDevice device, VmId vm) {
  const PciAddress address = std::get<VfioDevice>(device.device).address;
  std::vector<std::string> lines;
  if (!vfio_.has(address)) {
    lines.push_back(fmt::format("{} is not on vfio-pci", address));
    co_return lines;
  }
  // The VM is asked. Whether its group is open could only be told by opening it, in the way of a VM that
  // starts.
  const auto is_lost = co_await vms_.lacks(vm, device.id);
  if (!is_lost) co_return pass(is_lost);
  if (*is_lost) lines.push_back(fmt::format("{} runs without {}", vm, device.id));
  co_return lines;
}

Task<void> Passthrough::repair(VmDevice device, VmId vm) {
  const PciAddress address = std::get<VfioDevice>(device.device).address;
  if (!vfio_.has(address)) {
    const auto bound = co_await bind(address);
    if (!bound) co_return pass(bound);
  }
  const auto plugged = co_await plug(std::move(device), std::move(vm));
  if (!plugged) co_return pass(plugged);
  co_return Result<void>();
}

}  // namespace berth::host
