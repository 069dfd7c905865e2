// The host's PCI functions as sysfs shows them, under a root that tests replace. Reads only what takes no
// lock of a device in the kernel (links, directories, what was read at enumeration), so it never waits;
// everything else goes through SysfsWorker. A link's target is taken for an address or a name that is
// checked, never for a path. Source: Documentation/ABI/testing/sysfs-bus-pci, drivers/pci/iov.c.
#pragma once

#include "base/error.h"
#include "host/pci_address.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace berth::host {

struct PciFunction {
  PciAddress address;
  std::uint16_t vendor_id = 0;
  std::uint16_t device_id = 0;
  std::uint32_t class_code = 0;  // base class, subclass, programming interface: 0x020000 is Ethernet
  std::string driver;            // empty: none
  std::optional<int> numa_node;
  std::optional<unsigned> iommu_group;
  std::optional<PciAddress> physical;  // of a VF: its PF
  std::uint16_t total_vfs = 0;         // of a PF: how many its hardware can have

  bool is_bridge() const { return class_code >> 16 == 0x06; }
};

class PciTree {
 public:
  explicit PciTree(std::filesystem::path root = "/sys") : root_(std::move(root)) {}

  std::vector<PciAddress> list() const;
  // NOT_FOUND (PCI_DEVICE_UNKNOWN); UNAVAILABLE (PCI_DEVICE_UNREADABLE) when it is going just now.
  Result<PciFunction> read(PciAddress address) const;
  bool exists(PciAddress address) const;
  // Empty: none.
  std::string driver_of(PciAddress address) const;
  std::optional<unsigned> group_of(PciAddress address) const;
  std::optional<PciAddress> physical_of(PciAddress vf) const;

  // VFs that `pf` has now, by their number from 0; ends at the first that is missing.
  std::vector<PciAddress> vfs_of(PciAddress pf) const;
  // Functions of an IOMMU group, bridges included, in order.
  std::vector<PciAddress> group_members(unsigned group) const;
  // "vfio-noiommu" where there is no IOMMU at all; empty for most groups.
  std::string group_name(unsigned group) const;
  // Network devices of the function.
  std::vector<std::string> netdevs_of(PciAddress address) const;
  // What `address` hangs below, nearest first.
  std::vector<PciAddress> bridges_above(PciAddress address) const;
  // The host bridge that it is below: "pci0000:15". Empty: not known.
  std::string root_complex_of(PciAddress address) const;

  bool has_driver(const std::string& name) const;

  // Paths of attributes, for SysfsWorker.
  std::filesystem::path device(PciAddress address) const { return devices() / address.str(); }
  std::filesystem::path driver(const std::string& name) const { return root_ / "bus/pci/drivers" / name; }
  std::filesystem::path drivers_probe() const { return root_ / "bus/pci/drivers_probe"; }
  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path devices() const { return root_ / "bus/pci/devices"; }
  std::filesystem::path group(unsigned number) const;

  std::filesystem::path root_;
};

}  // namespace berth::host
