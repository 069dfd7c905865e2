#include "host/eswitch_nic.h"

#include "base/main_loop.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDriver = "mlx5_core";

std::unexpected<Error> unfit(std::string reason, std::string message) {
  return fail(Code::kFailedPrecondition, std::move(reason), std::move(message));
}

Result<void> check_device(const NicNeeds& needs, const PciTree& tree) {
  const auto function = tree.read(needs.pf);
  if (!function) return pass(function, "eswitch.pci");
  if (function->driver != kDriver) {
    return unfit(
        "NOT_A_CONNECTX",
        fmt::format("{} ({:04x}:{:04x}) has {}; an eSwitch is opened of a ConnectX or BlueField with "
                    "its driver {}",
                    needs.pf, function->vendor_id, function->device_id,
                    function->driver.empty() ? "no driver" : "driver " + function->driver, kDriver));
  }
  if (function->physical) {
    return unfit("NOT_A_PF", fmt::format("{} is a VF of {}: name that one", needs.pf, *function->physical));
  }
  return {};
}

Task<void> check_mode(const NicNeeds& needs, Devlink& devlink) {
  const auto state = co_await devlink.read_eswitch(DevlinkDevice::pci(needs.pf));
  const bool has_none = !state && state.error().reason == "DEVLINK_UNSUPPORTED";
  if (!state && !has_none) co_return pass(state);
  if (state && state->mode == EswitchMode::kSwitchdev) co_return Result<void>();
  const char* mode =
      state && state->mode == EswitchMode::kLegacy ? "is in mode legacy" : "has no mode switchdev";
  co_return unfit("NOT_SWITCHDEV",
                  fmt::format("the eSwitch of {0} {1}; while no VM has a VF of it: devlink dev eswitch set "
                              "pci/{0} mode switchdev (the link is down for seconds), then make the VFs",
                              needs.pf, mode));
}

// The wire's network device is the NIC's, and each function has a VF with a representor.
Result<void> check_ports(const NicNeeds& needs, const std::vector<DevlinkPort>& ports) {
  const auto is_wire = [&](const DevlinkPort& port) {
    return !port.is_function && port.netdev == needs.uplink;
  };
  if (std::ranges::none_of(ports, is_wire)) {
    return unfit(
        "UPLINK_NOT_OF_NIC",
        fmt::format("{} (underlay.device) is not the network device of {}'s wire", needs.uplink, needs.pf));
  }
  std::set<std::uint32_t> vfs;
  for (const DevlinkPort& port : ports) {
    const bool has_representor = port.is_function && port.name.kind == PortKind::kVf && port.ifindex != 0;
    if (has_representor) vfs.insert(port.name.number);
  }
  for (std::uint16_t vf = 0; vf < needs.functions; ++vf) {
    if (vfs.contains(vf)) continue;
    return unfit(
        "VFS_MISSING",
        fmt::format("{0} has no VF {1} with a representor, and the eSwitch shall have {2} functions; "
                    "while no VM has a VF of it, with its eSwitch in mode switchdev: cd "
                    "/sys/bus/pci/devices/{0}; echo 0 > sriov_drivers_autoprobe; echo 0 > "
                    "sriov_numvfs; echo {2} > sriov_numvfs",
                    needs.pf, vf, needs.functions));
  }
  return {};
}

std::uint64_t read_number(const fs::path& file) {
  std::uint64_t number = 0;
  std::ifstream(file) >> number;
  return number;
}

// "hugepages-2048kB": of all sizes together.
std::uint64_t free_hugepages_mib(const fs::path& sysfs) {
  constexpr std::string_view kPrefix = "hugepages-";
  std::uint64_t kib = 0;
  std::error_code error;
  for (const auto& size : fs::directory_iterator(sysfs / "kernel/mm/hugepages", error)) {
    const std::string name = size.path().filename().string();
    std::uint64_t kib_of_page = 0;
    if (!name.starts_with(kPrefix)) continue;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), kib_of_page);
    kib += kib_of_page * read_number(size.path() / "free_hugepages");
  }
  return kib / 1024;
}

// What DPDK's driver stands on.
Result<void> check_software(const NicNeeds& needs, const PciTree& tree) {
  if (!needs.has_dpdk_driver) {
    return unfit("DPDK_DRIVER_MISSING",
                 "DPDK's driver for ConnectX is not installed: apt-get install librte-net-mlx5-23");
  }
  std::error_code error;
  if (!fs::exists(tree.device(needs.pf) / "infiniband_verbs", error)) {
    return unfit("VERBS_MISSING",
                 fmt::format("{} has no verbs device, which DPDK's driver opens: apt-get install rdma-core; "
                             "modprobe -a mlx5_ib ib_uverbs",
                             needs.pf));
  }
  const auto free_mib = free_hugepages_mib(tree.root());
  if (free_mib < needs.hugepages_mib) {
    return unfit("HUGEPAGES_MISSING",
                 fmt::format("{} MiB in hugepages are free, and at least {} are needed: echo {} > "
                             "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or hugepages= at boot",
                             free_mib, needs.hugepages_mib, needs.hugepages_mib));
  }
  return {};
}

}  // namespace

Task<void> check_nic(NicNeeds needs, const PciTree& tree, Devlink& devlink) {
  if (auto device = check_device(needs, tree); !device) co_return device;
  const auto mode = co_await check_mode(needs, devlink);
  if (!mode) co_return mode;
  const auto ports = co_await devlink.list_ports(DevlinkDevice::pci(needs.pf));
  if (!ports) co_return pass(ports);
  if (auto found = check_ports(needs, *ports); !found) co_return found;
  co_return check_software(needs, tree);
}

Result<void> check_nic_now(const NicNeeds& needs) {
  asio::io_context io(1);
  NetlinkChannel channel(io.get_executor());
  Devlink devlink(channel);
  const PciTree tree;
  return run_to_end(io, check_nic(needs, tree, devlink));
}

}  // namespace berth::host
