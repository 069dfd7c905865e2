// Functions that are devices of their own, each in a PCIe slot that the kernel can switch (pciehp): on when
// the function is leased, off when it comes back. A slot without power control is looked at again instead
// (rescan of the bridge above it), and given back by removing the function. Source:
// drivers/pci/hotplug/pci_hotplug_core.c.
#pragma once

#include "host/deadlines.h"
#include "host/hotplug/hotplug_provider.h"
#include "host/pci/pci_events.h"
#include "host/pci/pci_tree.h"
#include "host/pci/sysfs_worker.h"

#include <cstdint>
#include <vector>

namespace berth::host {

// Where vf<index> comes, and how it is known for what it is.
struct FunctionSlot {
  PciAddress bridge;  // the port that the device hangs below
  std::string slot;   // its name in /sys/bus/pci/slots; empty: no power control
  std::uint16_t vendor_id = 0;
  std::uint16_t device_id = 0;
};

class SlotProvider : public HotplugProvider {
 public:
  // What it refers to outlives it.
  SlotProvider(const PciTree& tree, SysfsWorker& worker, PciEvents& events, Deadlines deadlines,
               std::vector<FunctionSlot> slots)
      : tree_(tree), worker_(worker), events_(events), deadlines_(deadlines), slots_(std::move(slots)) {}

  std::string_view kind() const override { return "slot"; }
  // FAILED_PRECONDITION (SLOT_OCCUPIED: something else is in the slot; SLOT_UNKNOWN),
  // FUNCTION_DID_NOT_APPEAR.
  Task<Exposed> expose(PrepareArgs args) override;
  Task<std::optional<PciAddress>> find(Function function) override;
  // FUNCTION_DID_NOT_GO (DEADLINE_EXCEEDED) when the kernel still shows it.
  Task<std::string> withdraw(Function function) override;

 private:
  Result<FunctionSlot> slot_of(const Function& function) const;
  Result<std::optional<PciAddress>> look_below(const FunctionSlot& slot) const;
  Task<void> switch_on(FunctionSlot slot);
  Task<void> switch_off(FunctionSlot slot, PciAddress function);

  const PciTree& tree_;
  SysfsWorker& worker_;
  PciEvents& events_;
  Deadlines deadlines_;
  std::vector<FunctionSlot> slots_;
};

}  // namespace berth::host
