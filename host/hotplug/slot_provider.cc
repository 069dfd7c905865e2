#include "host/hotplug/slot_provider.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host {

Task<Exposed> SlotProvider::expose(PrepareArgs args) {
  const auto slot = slot_of(args.function);
  if (!slot) co_return pass(slot);
  const auto since = events_.now();
  auto found = look_below(*slot);
  if (!found) co_return pass(found);
  if (!*found) {
    const auto on = co_await switch_on(*slot);
    if (!on) co_return pass(on);
    const auto is_there = [this, slot = *slot] {
      const auto now = look_below(slot);
      return !now || now->has_value();
    };
    const auto appeared = co_await events_.wait_until(is_there, deadlines_.appear);
    if (!appeared && appeared.error().code != Code::kDeadlineExceeded) co_return pass(appeared);
    found = look_below(*slot);
    if (!found) co_return pass(found);
  }
  if (!*found) {
    co_return fail(Code::kDeadlineExceeded, "FUNCTION_DID_NOT_APPEAR",
                   fmt::format("nothing came below {} (slot '{}')", slot->bridge, slot->slot));
  }
  const PciAddress address = **found;
  const bool was_told = events_.has_heard(since, Uevent::Action::kAdd, address);
  co_return Exposed{
      address, fmt::format("{} below {}, {}", address, slot->bridge, was_told ? "uevent seen" : "no uevent")};
}

Task<std::optional<PciAddress>> SlotProvider::find(Function function) {
  const auto slot = slot_of(function);
  if (!slot) co_return pass(slot);
  co_return look_below(*slot);
}

Task<std::string> SlotProvider::withdraw(Function function) {
  const auto slot = slot_of(function);
  if (!slot) co_return pass(slot);
  const auto found = look_below(*slot);
  if (!found) co_return pass(found);
  if (!*found) co_return std::string("the slot is empty");
  const PciAddress address = **found;
  const auto off = co_await switch_off(*slot, address);
  if (!off) co_return pass(off);
  const auto is_gone = [this, address] { return !tree_.exists(address); };
  const auto gone = co_await events_.wait_until(is_gone, deadlines_.appear);
  if (gone) co_return fmt::format("{} is off the bus", address);
  if (gone.error().code != Code::kDeadlineExceeded) co_return pass(gone);
  co_return fail(Code::kDeadlineExceeded, "FUNCTION_DID_NOT_GO",
                 fmt::format("{} is still on the bus", address));
}

Result<FunctionSlot> SlotProvider::slot_of(const Function& function) const {
  if (function.index < slots_.size()) return slots_[function.index];
  return fail(Code::kFailedPrecondition, "SLOT_UNKNOWN", fmt::format("vf{} has no slot", function.index));
}

// The bus number below a port may change; what the device is does not.
Result<std::optional<PciAddress>> SlotProvider::look_below(const FunctionSlot& slot) const {
  for (const PciAddress& address : tree_.list()) {
    const auto bridges = tree_.bridges_above(address);
    if (bridges.empty() || bridges.front() != slot.bridge) continue;
    const auto read = tree_.read(address);
    if (!read && read.error().reason == "PCI_DEVICE_UNREADABLE") continue;  // it comes or goes
    if (!read) return pass(read);
    if (read->vendor_id == slot.vendor_id && read->device_id == slot.device_id && address.function == 0)
      return address;
    if (address.function == 0) {
      return fail(Code::kFailedPrecondition, "SLOT_OCCUPIED",
                  fmt::format("{} below {} is {:04x}:{:04x}, not {:04x}:{:04x}", address, slot.bridge,
                              read->vendor_id, read->device_id, slot.vendor_id, slot.device_id));
    }
  }
  return std::nullopt;
}

Task<void> SlotProvider::switch_on(FunctionSlot slot) {
  if (slot.slot.empty())
    return worker_.write(slot.bridge, tree_.device(slot.bridge) / "rescan", "1", deadlines_.appear);
  return worker_.write(slot.bridge, tree_.root() / "bus/pci/slots" / slot.slot / "power", "1",
                       deadlines_.appear);
}

Task<void> SlotProvider::switch_off(FunctionSlot slot, PciAddress function) {
  if (slot.slot.empty())
    return worker_.write(function, tree_.device(function) / "remove", "1", deadlines_.appear);
  return worker_.write(slot.bridge, tree_.root() / "bus/pci/slots" / slot.slot / "power", "0",
                       deadlines_.appear);
}

}  // namespace berth::host
