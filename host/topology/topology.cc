#include "host/topology/topology.h"

#include "host/parse_number.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace berth::host::topology {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTextBytes = 4096;  // sysfs never shows more than a page
constexpr std::size_t kConfigBytes = 4096;

std::string read_bytes(const fs::path& file, std::size_t most) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(most, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(most));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return bytes;
}

std::string read_text(const fs::path& file) {
  std::string text = read_bytes(file, kMaxTextBytes);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::uint16_t read_id(const fs::path& file) {
  return parse_number<std::uint16_t>(read_text(file), 16).value_or(0);
}

std::optional<Kind> kind_of(std::uint32_t pci_class) {
  switch (pci_class >> 8) {
    case 0x0200:  // Ethernet
    case 0x0207:  // InfiniBand
      return Kind::kNic;
    case 0x0300:  // VGA
    case 0x0302:  // 3D: datacentre GPUs
      return Kind::kGpu;
    case 0x0108:  // non-volatile memory
      return Kind::kNvme;
    default:
      return std::nullopt;
  }
}

ConfigSpace read_config_space(const fs::path& device) {
  const std::string bytes = read_bytes(device / "config", kConfigBytes);
  return parse_config_space({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

std::string read_speed(const fs::path& file) {
  const std::string speed = read_text(file);
  return speed.starts_with("Unknown") ? "" : speed;
}

unsigned read_width(const fs::path& file) {
  const auto width = parse_number<unsigned>(read_text(file), 10);
  return width && *width <= 32 ? *width : 0;  // 255: the kernel's "unknown"
}

Link read_link(const fs::path& device) {
  return {.speed = read_speed(device / "current_link_speed"),
          .max_speed = read_speed(device / "max_link_speed"),
          .width = read_width(device / "current_link_width"),
          .max_width = read_width(device / "max_link_width")};
}

std::optional<PciAddress> link_target(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) return std::nullopt;
  const auto address = PciAddress::parse("link", target.filename().string());
  return address ? std::optional(*address) : std::nullopt;
}

// /sys/devices/pci0000:15/0000:15:01.0/0000:16:00.0/...: the way is the path.
void read_way(const fs::path& path, Device& device) {
  fs::path above;
  for (const fs::path& part : path) {
    above /= part;
    const std::string name = part.string();
    const auto address = PciAddress::parse("path", name);
    if (name.starts_with("pci") && name.contains(':')) device.root_complex = name;
    if (!address || *address == device.address) continue;
    const ConfigSpace space = read_config_space(above);
    device.bridges.push_back({.address = *address,
                              .vendor = read_id(above / "vendor"),
                              .device = read_id(above / "device"),
                              .acs = space.acs,
                              .acs_control = space.acs_control});
  }
}

// A PF in switchdev mode has the representors of its VFs beside its own network device: they have names like
// "pf0vf3" for their port, the PF's own is "p0" or none.
std::string read_netdev(const fs::path& device) {
  std::string first;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(device / "net", error)) {
    const std::string name = entry.path().filename().string();
    if (read_text(entry.path() / "phys_port_name").contains("pf")) continue;
    if (first.empty() || name < first) first = name;
  }
  return first;
}

std::optional<Device> read_device(const fs::path& entry) {
  const auto address = PciAddress::parse("device", entry.filename().string());
  const auto pci_class = parse_number<std::uint32_t>(read_text(entry / "class"), 16);
  if (!address || !pci_class) return std::nullopt;
  const auto kind = kind_of(*pci_class);
  std::error_code error;
  const fs::path path = fs::canonical(entry, error);
  if (!kind || error) return std::nullopt;
  Device device{.address = *address,
                .kind = *kind,
                .vendor = read_id(path / "vendor"),
                .device = read_id(path / "device"),
                .physical_function = link_target(path / "physfn"),
                .numa_node = parse_number<int>(read_text(path / "numa_node"), 10).value_or(-1),
                .link = read_link(path),
                .ats = read_config_space(path).ats,
                .netdev = read_netdev(path)};
  const fs::path group = fs::read_symlink(path / "iommu_group", error);
  if (!error) device.iommu_group = parse_number<unsigned>(group.filename().string(), 10);
  read_way(path, device);
  return device;
}

// A VF has the link of its PF, and shows none of its own.
void share_links(Topology& topology) {
  for (Device& device : topology.devices) {
    if (!device.physical_function) continue;
    const Device* owner = topology.find(*device.physical_function);
    if (owner != nullptr) device.link = owner->link;
  }
}

}  // namespace

const Device* Topology::find(const PciAddress& address) const {
  const auto found = std::ranges::lower_bound(devices, address, {}, &Device::address);
  return found != devices.end() && found->address == address ? &*found : nullptr;
}

bool Topology::has_numa() const {
  return std::ranges::any_of(devices, [](const Device& device) { return device.numa_node >= 0; });
}

Result<Topology> read_topology(const fs::path& root) {
  const fs::path bus = root / "sys/bus/pci/devices";
  std::error_code error;
  fs::directory_iterator entries(bus, error);
  if (error)
    return fail(Code::kUnavailable, "NO_PCI_BUS", fmt::format("{}: {}", bus.string(), error.message()));
  Topology topology;
  for (const fs::directory_entry& entry : entries) {
    auto device = read_device(entry.path());
    if (!device) continue;
    if (topology.devices.size() == kMaxDevices)
      return fail(Code::kResourceExhausted, "TOO_MANY_DEVICES",
                  fmt::format("more than {} NICs, GPUs and NVMe drives", kMaxDevices));
    topology.devices.push_back(*std::move(device));
  }
  std::ranges::sort(topology.devices, {}, &Device::address);
  share_links(topology);
  return topology;
}

std::string distance_name(Distance distance) {
  switch (distance) {
    case Distance::kSelf:
      return "X";
    case Distance::kPix:
      return "PIX";
    case Distance::kPxb:
      return "PXB";
    case Distance::kPhb:
      return "PHB";
    case Distance::kNode:
      return "NODE";
    case Distance::kSys:
      return "SYS";
  }
  return "SYS";
}

Distance distance(const Topology& topology, const Device& one, const Device& other) {
  if (one.address == other.address) return Distance::kSelf;
  const auto [left, right] =
      std::ranges::mismatch(one.bridges, other.bridges, {}, &Bridge::address, &Bridge::address);
  const auto below = std::max(one.bridges.end() - left, other.bridges.end() - right);
  const bool share_bridge = left != one.bridges.begin();
  // Below the common upstream port each has the downstream port that it is on, and nothing else.
  if (share_bridge) return below <= 1 ? Distance::kPix : Distance::kPxb;
  if (one.root_complex == other.root_complex && !one.root_complex.empty()) return Distance::kPhb;
  const bool is_known = one.numa_node >= 0 || !topology.has_numa();
  return one.numa_node == other.numa_node && is_known ? Distance::kNode : Distance::kSys;
}

std::optional<PciAddress> switch_of(const Device& device) {
  // Root port, [upstream, downstream]...: without a switch the root port is alone.
  if (device.bridges.size() < 3) return std::nullopt;
  return device.bridges[device.bridges.size() - 2].address;
}

}  // namespace berth::host::topology
