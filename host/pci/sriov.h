// Makes a PF's virtual functions: once, before anybody has one, because their number can only change through
// zero, which destroys them all. They get no driver of the host's (sriov_drivers_autoprobe = 0).
// Source: drivers/pci/iov.c.
#pragma once

#include "base/task.h"
#include "host/deadlines.h"
#include "host/pci/pci_events.h"
#include "host/pci/pci_tree.h"
#include "host/pci/sysfs_worker.h"

#include <cstdint>
#include <set>
#include <vector>

namespace berth::host {

class Sriov {
 public:
  // All of them outlive it.
  Sriov(const PciTree& tree, SysfsWorker& worker, PciEvents& events, Deadlines deadlines)
      : tree_(tree), worker_(worker), events_(events), deadlines_(deadlines) {}

  // At least `count` VFs of `pf`, in order. `leased`: numbers of those that somebody may have; if there is
  // one, nothing is created or destroyed. Idempotent; to be called before anything else uses the VFs.
  //   NOT_FOUND           PCI_DEVICE_UNKNOWN
  //   FAILED_PRECONDITION NOT_A_PF, PF_HAS_NO_DRIVER, VFS_IN_USE (too few, and some are in use), VFS_LOST
  //                       (leased, but not there any more)
  //   RESOURCE_EXHAUSTED  TOO_MANY_VFS, NO_ROOM_FOR_VFS (bus numbers or MMIO space), TOO_FEW_VFS (the kernel
  //                       made fewer than it said)
  //   DEADLINE_EXCEEDED   SYSFS_WRITE_STUCK
  Task<std::vector<PciAddress>> ensure_vfs(PciAddress pf, std::uint16_t count,
                                           std::set<std::uint16_t> leased);

 private:
  Task<void> make(PciAddress pf, std::uint16_t count);
  Task<void> remove_all(PciAddress pf);
  Task<void> set_count(PciAddress pf, std::uint16_t count, std::chrono::milliseconds deadline);

  const PciTree& tree_;
  SysfsWorker& worker_;
  PciEvents& events_;
  Deadlines deadlines_;
};

}  // namespace berth::host
