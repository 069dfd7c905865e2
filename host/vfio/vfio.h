// Hands a PCI function to vfio-pci, and takes it back when nobody has it open and a reset has made it clean.
// Each call is idempotent and confirms in sysfs what it says. What could not be confirmed is an error, and
// leaves driver_override on vfio-pci, so that no driver of the host takes what may not be clean.
// Source: drivers/base/bus.c, drivers/pci/pci-driver.c, drivers/pci/pci-sysfs.c, drivers/vfio/group.c.
#pragma once

#include "base/task.h"
#include "host/deadlines.h"
#include "host/pci/pci_events.h"
#include "host/pci/pci_tree.h"
#include "host/pci/sysfs_worker.h"

#include <filesystem>
#include <string>

namespace berth::host {

class Vfio {
 public:
  // `tree`, `worker` and `events` outlive it; `dev` is /dev.
  Vfio(const PciTree& tree, SysfsWorker& worker, PciEvents& events, Deadlines deadlines,
       std::filesystem::path dev = "/dev")
      : tree_(tree), worker_(worker), events_(events), deadlines_(deadlines), dev_(std::move(dev)) {}

  // vfio-pci owns the function, its group is viable and its node is in /dev/vfio. Returns the group.
  //   NOT_FOUND           PCI_DEVICE_UNKNOWN
  //   FAILED_PRECONDITION VFIO_PCI_MISSING, IOMMU_OFF, IS_A_BRIDGE, GROUP_NOT_VIABLE (another function of the
  //                       group has another driver), BIND_REFUSED (vfio-pci did not take it), UNBIND_REFUSED,
  //                       NO_GROUP_NODE, GROUP_SHARED (somebody has the group open already)
  //   DEADLINE_EXCEEDED   SYSFS_WRITE_STUCK
  Task<unsigned> bind(PciAddress function);

  // vfio-pci does not have the function, after a check that nobody has its group open: unbinding would wait
  // for them without end. GROUP_HELD (FAILED_PRECONDITION) after Deadlines::group_released.
  Task<void> unbind(PciAddress function);

  // Nothing of its last user is left in it: reset, and seen to answer again. Returns how it was
  // reset. What a driver of the host has, and bind() never took from it, stays untouched.
  //   NOT_FOUND           PCI_DEVICE_UNKNOWN
  //   FAILED_PRECONDITION STILL_BOUND, NO_RESET_METHOD, RESET_FAILED, DEAD_AFTER_RESET
  //   DEADLINE_EXCEEDED   SYSFS_WRITE_STUCK
  Task<std::string> reset(PciAddress function);

  // Clean and driver-less: any driver may have it again. An override that is not ours stays.
  Task<void> clear_override(PciAddress function);

  // As sysfs has it now.
  bool has(PciAddress function) const { return tree_.driver_of(function) == "vfio-pci"; }

  // FAILED_PRECONDITION (GROUP_HELD) at once when somebody has the group open.
  Task<void> check_not_held(PciAddress function);

 private:
  Result<unsigned> check_group(PciAddress function) const;
  Task<void> take(PciAddress function);
  Task<std::string> read_override(PciAddress function);
  Task<void> ensure_override(PciAddress function, std::string driver);
  Task<void> ensure_no_driver(PciAddress function);
  Task<void> probe(PciAddress function);
  Task<std::string> read_reset_method(PciAddress function);
  Task<void> check_alive(PciAddress function);
  std::filesystem::path node(unsigned group) const { return dev_ / "vfio" / std::to_string(group); }

  const PciTree& tree_;
  SysfsWorker& worker_;
  PciEvents& events_;
  Deadlines deadlines_;
  std::filesystem::path dev_;
};

}  // namespace berth::host
