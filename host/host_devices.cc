#include "host/host_devices.h"

#include <algorithm>
#include <fstream>
#include <net/if.h>
#include <regex>
#include <sstream>

#include <fmt/format.h>

namespace berth::host {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> refused(std::string reason, std::string message) {
  return fail(Code::kFailedPrecondition, std::move(reason), std::move(message));
}

std::string read_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// A namespace that NVMe multipathing has is nvme0n1 to the host, and hangs below no function; what does is
// its path nvme0c1n1.
std::string as_host_names_it(const std::string& block) {
  static const std::regex path("(nvme[0-9]+)c[0-9]+(n[0-9]+.*)");
  return std::regex_replace(block, path, "$1$2");
}

bool has_entries(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator entries(folder, error);
  return !error && entries != fs::directory_iterator();
}

// What is mounted, by device number ("259:1") and by name ("/dev/nvme0n1p1"), and what is swapped to.
// Source: Documentation/filesystems/proc.rst, 3.5.
Result<std::set<std::string>> read_mounted(const fs::path& proc) {
  std::set<std::string> mounted;
  std::ifstream mounts(proc / "self/mountinfo");
  if (!mounts) return fail(Code::kUnavailable, "PROC_UNREADABLE", "cannot read the mount table");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, number;
    words >> id >> parent >> number;
    mounted.insert(number);
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream rest(line.substr(dash + 3));
    std::string type, source;
    rest >> type >> source;
    mounted.insert(source);
  }
  std::ifstream swaps(proc / "swaps");
  for (std::string line; std::getline(swaps, line);)
    mounted.insert(line.substr(0, line.find_first_of(" \t")));
  return mounted;
}

}  // namespace

std::unexpected<Error> device_not_allowed(PciAddress device) {
  return fail(
      Code::kPermissionDenied, "DEVICE_NOT_ALLOWED",
      fmt::format("{} is not among the devices that this host gives to VMs ([host] devices)", device));
}

Result<void> HostDevices::check(PciAddress device) const {
  if (!allowed_.contains(device)) return device_not_allowed(device);
  const auto there = check_there(device);
  if (!there) return there;
  if (pool_.contains(device) || pool_.contains(tree_.physical_of(device).value_or(device)))
    return refused("DEVICE_IS_OF_POOL", fmt::format("{} belongs to the eSwitch's functions", device));
  const auto use = read_use(device);
  if (!use) return pass(use);
  if (!use->empty()) return refused("DEVICE_IN_USE_BY_HOST", fmt::format("{}: {}", device, *use));
  return {};
}

Result<void> HostDevices::check_there(PciAddress device) const {
  const auto read = tree_.read(device);
  if (!read) return pass(read);
  if (read->is_bridge()) return refused("IS_A_BRIDGE", fmt::format("{} is a bridge", device));
  return {};
}

std::vector<PciAddress> HostDevices::group_neighbours(PciAddress device) const {
  std::vector<PciAddress> neighbours;
  const auto group = tree_.group_of(device);
  if (!group) return neighbours;
  for (const PciAddress& other : tree_.group_members(*group)) {
    const auto read = tree_.read(other);
    if (other != device && !(read && read->is_bridge())) neighbours.push_back(other);
  }
  return neighbours;
}

Result<std::string> HostDevices::read_use(PciAddress device) const {
  const auto vfs = tree_.vfs_of(device);
  if (!vfs.empty()) return fmt::format("has {} VFs", vfs.size());
  for (const std::string& name : class_devices("net", device)) {
    const std::string flags = read_line(tree_.root() / "class/net" / name / "flags");
    if ((std::strtoul(flags.c_str(), nullptr, 0) & IFF_UP) != 0)
      return fmt::format("network device {} is up", name);
  }
  const auto mounted = read_mounted(proc_);
  if (!mounted) return pass(mounted);
  for (const std::string& name : block_devices(device)) {
    const fs::path folder = tree_.root() / "class/block" / name;
    if (mounted->contains(read_line(folder / "dev")) || mounted->contains("/dev/" + name))
      return fmt::format("{} is mounted or swapped to", name);
    if (has_entries(folder / "holders")) return fmt::format("{} is part of a volume", name);
  }
  return std::string();
}

// With their partitions, which are in the class, too, but hang below the name that the host knows.
std::set<std::string> HostDevices::block_devices(PciAddress device) const {
  std::set<std::string> names;
  for (const std::string& path : class_devices("block", device)) {
    const std::string name = as_host_names_it(path);
    names.insert(name);
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(tree_.root() / "class/block" / name, error)) {
      if (fs::exists(entry.path() / "partition", error)) names.insert(entry.path().filename().string());
    }
  }
  return names;
}

std::vector<std::string> HostDevices::class_devices(const std::string& kind, PciAddress device) const {
  std::vector<std::string> names;
  std::error_code error;
  const std::string below = fs::canonical(tree_.device(device), error).string() + "/";
  if (error) return names;
  for (const auto& entry : fs::directory_iterator(tree_.root() / "class" / kind, error)) {
    std::error_code gone;
    if (fs::canonical(entry.path(), gone).string().starts_with(below))
      names.push_back(entry.path().filename().string());
  }
  return names;
}

}  // namespace berth::host
