#include "tools/berthctl/topology_text.h"

#include <map>
#include <vector>

#include <fmt/format.h>

namespace berth::ctl {

using namespace northbound;

namespace {

struct Row {
  std::string name;  // "GPU0"
  const v1::PciDevice* device;
};

std::string kind_text(v1::PciDevice::Kind kind) {
  switch (kind) {
    case v1::PciDevice::GPU:
      return "GPU";
    case v1::PciDevice::NIC:
      return "NIC";
    case v1::PciDevice::NVME:
      return "NVME";
    default:
      return "?";
  }
}

// GPUs first, as nvidia-smi does; within a kind by address.
std::vector<Row> rows_of(const v1::HostTopology& topology) {
  std::vector<Row> rows;
  for (const auto kind : {v1::PciDevice::GPU, v1::PciDevice::NIC, v1::PciDevice::NVME}) {
    int number = 0;
    for (const v1::PciDevice& device : topology.devices()) {
      if (device.kind() == kind && !device.has_physical_function())
        rows.push_back({fmt::format("{}{}", kind_text(kind), number++), &device});
    }
  }
  return rows;
}

std::string level_text(v1::Distance::Level level) {
  return level == v1::Distance::SELF ? "X" : v1::Distance::Level_Name(level);
}

std::string state_text(v1::CapabilityState state) {
  switch (state) {
    case v1::ON:
      return "on";
    case v1::OFF:
      return "off";
    case v1::ABSENT:
      return "absent";
    default:
      return "unknown";
  }
}

// "32.0 GT/s PCIe x16", and what it could be.
std::string link_text(const v1::PciLink& link) {
  if (link.width() == 0) return "link unknown";
  std::string text = fmt::format("{} x{}", link.speed(), link.width());
  if (link.speed() != link.max_speed() || link.width() != link.max_width())
    text += fmt::format(" (of {} x{})", link.max_speed(), link.max_width());
  return text;
}

// Those that could keep what is behind apart and do not; of a switch these are the downstream ports.
std::string acs_text(const v1::PciDevice& device) {
  std::string text = "absent";
  for (const v1::PciBridge& bridge : device.bridges()) {
    if (bridge.acs() == v1::OFF) return "off at " + bridge.address();
    if (bridge.acs() == v1::UNKNOWN) text = "unknown";
    if (bridge.acs() == v1::ON && text == "absent") text = "on";
  }
  return text;
}

}  // namespace

std::string format_topology(const v1::HostTopology& topology) {
  const auto rows = rows_of(topology);
  std::string text = fmt::format("{:<7}", "");
  for (const Row& row : rows) text += fmt::format(" {:<6}", row.name);
  text += " NUMA\n";
  for (const Row& row : rows) {
    std::map<std::string, std::string> levels;
    for (const v1::Distance& distance : row.device->distances())
      levels[distance.to()] = level_text(distance.level());
    text += fmt::format("{:<7}", row.name);
    for (const Row& column : rows) text += fmt::format(" {:<6}", levels[column.device->address()]);
    text += row.device->has_numa_node() ? fmt::format(" {}\n", row.device->numa_node()) : " N/A\n";
  }
  text += "\n";
  for (const Row& row : rows) {
    const v1::PciDevice& device = *row.device;
    text += fmt::format(
        "{:<7} {} {:04x}:{:04x} {}, {}, IOMMU group {}, ACS {}, ATS {}{}{}\n", row.name, device.address(),
        device.vendor(), device.device(), device.root_complex(), link_text(device.link()),
        device.has_iommu_group() ? std::to_string(device.iommu_group()) : "none", acs_text(device),
        state_text(device.ats()), device.netdev().empty() ? "" : ", ", device.netdev());
  }
  text +=
      "\nX    self\n"
      "PIX  at most one PCIe switch\n"
      "PXB  several PCIe switches, no host bridge\n"
      "PHB  one PCIe host bridge (the CPU)\n"
      "NODE several host bridges of one NUMA node\n"
      "SYS  the link between NUMA nodes, or unknown\n";
  return text;
}

}  // namespace berth::ctl
