// Which of the host's own PCI functions a VM may be given, as a whole: those that the configuration names and
// that the host does not need itself. Looks at sysfs and at the mount table, and changes nothing.
#pragma once

#include "host/pci/pci_tree.h"
#include "host/topology/places.h"

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace berth::host {

class HostDevices {
 public:
  // `allowed`: what the configuration names. `pool`: the PFs whose VFs are the eSwitch's functions. `tree`
  // outlives it. `proc` is /proc.
  HostDevices(const PciTree& tree, std::set<PciAddress> allowed, std::set<PciAddress> pool,
              std::filesystem::path proc = "/proc")
      : tree_(tree), allowed_(std::move(allowed)), pool_(std::move(pool)), proc_(std::move(proc)) {}

  // PERMISSION_DENIED (DEVICE_NOT_ALLOWED), NOT_FOUND (PCI_DEVICE_UNKNOWN), FAILED_PRECONDITION (IS_A_BRIDGE,
  // DEVICE_IS_OF_POOL, DEVICE_IN_USE_BY_HOST: a file system, swap, or a volume on it, a network device of it
  // that is up, or VFs), UNAVAILABLE (PROC_UNREADABLE).
  Result<void> check(PciAddress device) const;

  // Whether something can be near it, whoever has it: NOT_FOUND (PCI_DEVICE_UNKNOWN), FAILED_PRECONDITION
  // (IS_A_BRIDGE).
  Result<void> check_there(PciAddress device) const;
  // Where these sit, for distances.
  topology::Topology read_places(std::span<const PciAddress> functions) const {
    return topology::read_places(tree_, functions);
  }

  // Others in its IOMMU group, without bridges.
  std::vector<PciAddress> group_neighbours(PciAddress device) const;

 private:
  // What the host uses it for; empty: nothing.
  Result<std::string> read_use(PciAddress device) const;
  std::set<std::string> block_devices(PciAddress device) const;
  // Devices of a class in /sys/class that are below the function: "nvme0n1", "eth1".
  std::vector<std::string> class_devices(const std::string& kind, PciAddress device) const;

  const PciTree& tree_;
  std::set<PciAddress> allowed_;
  std::set<PciAddress> pool_;
  std::filesystem::path proc_;
};

std::unexpected<Error> device_not_allowed(PciAddress device);

}  // namespace berth::host
