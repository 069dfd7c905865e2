// Where the host's NICs, GPUs and NVMe drives sit on its PCIe: NUMA node, root complex, bridges on the way,
// links, IOMMU groups; and how far two of them are from each other, in the words of `nvidia-smi topo -m`.
// Sources: Documentation/ABI/testing/sysfs-bus-pci; NVML nvmlGpuTopologyLevel_t.
#pragma once

#include "base/error.h"
#include "host/pci_address.h"
#include "host/topology/config_space.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace berth::host::topology {

// More functions than a host of 2026 has: 8 NICs of 256 VFs each, and as many again.
inline constexpr std::size_t kMaxDevices = 4096;

enum class Kind : std::uint8_t { kNic, kGpu, kNvme, kOther };

// From the root port down to the device.
struct Bridge {
  PciAddress address;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  Capability acs = Capability::kUnknown;
  std::uint16_t acs_control = 0;
};

// As the kernel writes it: "32.0 GT/s PCIe". Speed "" and width 0: unknown.
struct Link {
  std::string speed, max_speed;
  unsigned width = 0, max_width = 0;
};

struct Device {
  PciAddress address;
  Kind kind = Kind::kNic;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::optional<PciAddress> physical_function;  // of a VF
  int numa_node = -1;                           // -1: the firmware does not say
  std::string root_complex;                     // host bridge, "pci0000:15"
  std::vector<Bridge> bridges;
  Link link;  // a VF's is its PF's
  std::optional<unsigned> iommu_group;
  Capability ats = Capability::kUnknown;
  std::string netdev;  // "" without one
};

struct Topology {
  std::vector<Device> devices;  // by address

  const Device* find(const PciAddress& address) const;
  bool has_numa() const;  // the firmware names the node of any device
};

// `root` is "/" on a host. What cannot be read of a device is unknown; UNAVAILABLE (NO_PCI_BUS) when
// nothing can, RESOURCE_EXHAUSTED (TOO_MANY_DEVICES). Blocks: config space is read from the devices.
Result<Topology> read_topology(const std::filesystem::path& root);

// In order of distance.
enum class Distance : std::uint8_t {
  kSelf,  // "X"
  kPix,   // at most one PCIe switch between them
  kPxb,   // several switches, but no host bridge
  kPhb,   // one host bridge
  kNode,  // several host bridges of one NUMA node
  kSys,   // the link between NUMA nodes, or unknown
};
std::string distance_name(Distance distance);  // "PIX"

// Both are devices of `topology`.
Distance distance(const Topology& topology, const Device& one, const Device& other);

// The switch that the device is directly behind, named by its upstream port.
std::optional<PciAddress> switch_of(const Device& device);

}  // namespace berth::host::topology
