#include "host/pci/pci_tree.h"

#include "host/parse_number.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

namespace berth::host {
namespace {

namespace fs = std::filesystem;

// The first line; empty when there is none.
std::string read_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

template <typename Number>
std::optional<Number> read_number(const fs::path& file, int base) {
  return parse_number<Number>(read_line(file), base);
}

// The last part of where a link leads; empty when it is none.
std::string target_name(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? std::string() : target.filename().string();
}

std::optional<PciAddress> target_address(const fs::path& link) {
  const auto address = PciAddress::parse("link", target_name(link));
  return address ? std::optional(*address) : std::nullopt;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::vector<PciAddress> addresses_in(const fs::path& folder) {
  std::vector<PciAddress> addresses;
  for (const std::string& name : names_in(folder)) {
    if (const auto address = PciAddress::parse("name", name)) addresses.push_back(*address);
  }
  std::ranges::sort(addresses);
  return addresses;
}

}  // namespace

std::vector<PciAddress> PciTree::list() const {
  return addresses_in(devices());
}

Result<PciFunction> PciTree::read(PciAddress address) const {
  if (!exists(address))
    return fail(Code::kNotFound, "PCI_DEVICE_UNKNOWN", fmt::format("there is no PCI function {}", address));
  const fs::path folder = device(address);
  const auto vendor = read_number<std::uint16_t>(folder / "vendor", 16);
  const auto device_id = read_number<std::uint16_t>(folder / "device", 16);
  const auto class_code = read_number<std::uint32_t>(folder / "class", 16);
  if (!vendor || !device_id || !class_code) {
    return fail(Code::kUnavailable, "PCI_DEVICE_UNREADABLE",
                fmt::format("{} has no vendor, device or class: it comes or goes just now", address));
  }
  const auto node = read_number<int>(folder / "numa_node", 10);
  return PciFunction{.address = address,
                     .vendor_id = *vendor,
                     .device_id = *device_id,
                     .class_code = *class_code,
                     .driver = driver_of(address),
                     .numa_node = node && *node >= 0 ? node : std::nullopt,
                     .iommu_group = group_of(address),
                     .physical = physical_of(address),
                     .total_vfs = read_number<std::uint16_t>(folder / "sriov_totalvfs", 10).value_or(0)};
}

bool PciTree::exists(PciAddress address) const {
  std::error_code error;
  return fs::exists(device(address), error);
}

std::string PciTree::driver_of(PciAddress address) const {
  return target_name(device(address) / "driver");
}

std::optional<unsigned> PciTree::group_of(PciAddress address) const {
  return parse_number<unsigned>(target_name(device(address) / "iommu_group"), 10);
}

std::optional<PciAddress> PciTree::physical_of(PciAddress vf) const {
  return target_address(device(vf) / "physfn");
}

std::vector<PciAddress> PciTree::vfs_of(PciAddress pf) const {
  std::vector<PciAddress> vfs;
  while (const auto vf = target_address(device(pf) / fmt::format("virtfn{}", vfs.size()))) vfs.push_back(*vf);
  return vfs;
}

std::vector<PciAddress> PciTree::group_members(unsigned number) const {
  return addresses_in(group(number) / "devices");
}

std::string PciTree::group_name(unsigned number) const {
  return read_line(group(number) / "name");
}

std::vector<std::string> PciTree::netdevs_of(PciAddress address) const {
  return names_in(device(address) / "net");
}

// The device's real place is .../pci0000:00/0000:00:01.0/0000:01:00.0: the bridges are in its path.
std::vector<PciAddress> PciTree::bridges_above(PciAddress address) const {
  std::vector<PciAddress> bridges;
  std::error_code error;
  const fs::path place = fs::canonical(device(address), error);
  if (error) return bridges;
  for (fs::path above = place.parent_path(); above.has_relative_path(); above = above.parent_path()) {
    const auto bridge = PciAddress::parse("path", above.filename().string());
    if (!bridge) break;
    bridges.push_back(*bridge);
  }
  return bridges;
}

std::string PciTree::root_complex_of(PciAddress address) const {
  std::error_code error;
  const fs::path place = fs::canonical(device(address), error);
  if (error) return {};
  std::string found;
  for (const fs::path& part : place) {
    if (part.string().starts_with("pci") && part.string().contains(':')) found = part.string();
  }
  return found;
}

bool PciTree::has_driver(const std::string& name) const {
  std::error_code error;
  return fs::exists(driver(name), error);
}

fs::path PciTree::group(unsigned number) const {
  return root_ / "kernel/iommu_groups" / std::to_string(number);
}

}  // namespace berth::host
