// What the NICs must have been set up for.
#include "host/preflight/files.h"
#include "host/preflight/preflight.h"

#include <fmt/format.h>

namespace berth::host::preflight {
namespace {

namespace fs = std::filesystem;

std::vector<Finding> no_nic(const std::string& check) {
  return {{check, Verdict::kNotApplicable, "no NIC with SR-IOV; the software eSwitch needs none"}};
}

bool is_mlx5(const fs::path& device) {
  return read_file(device / "vendor") == "0x15b3";
}

// "pf0vf3", "c1pf0vf3": Documentation/networking/devlink/devlink-port.rst.
bool is_representor(const std::string& port_name) {
  return port_name.contains("pf") && port_name.find("vf", port_name.find("pf")) != std::string::npos;
}

// Of Debian's packages; a DPDK of one's own has its drivers elsewhere.
bool has_mlx5_driver(const fs::path& root) {
  for (const fs::path& architecture : list_folder(root / "usr/lib")) {
    for (const fs::path& version : list_folder(architecture / "dpdk")) {
      for (const fs::path& driver : list_folder(version))
        if (driver.filename().string().starts_with("librte_net_mlx5.so")) return true;
    }
  }
  return false;
}

Finding virtual_functions(const fs::path& device) {
  const std::string name = device.filename().string();
  const auto total = read_count(device / "sriov_totalvfs");
  const auto now = read_count(device / "sriov_numvfs");
  const fs::path shown = fs::path("/sys/bus/pci/devices") / name;
  if (now == 0) {
    return {"sriov", Verdict::kBad, fmt::format("{} has 0 of {} VFs", name, total),
            fmt::format("echo 0 > {0}/sriov_drivers_autoprobe; echo {1} > {0}/sriov_numvfs", shown.string(),
                        total)};
  }
  return {"sriov", Verdict::kGood, fmt::format("{} has {} of {} VFs", name, now, total)};
}

}  // namespace

std::vector<Finding> check_sriov(const Host& host) {
  std::vector<Finding> findings;
  for (const fs::path& device : list_physical_functions(host.root)) {
    findings.push_back(virtual_functions(device));
    if (read_count(device / "sriov_drivers_autoprobe") == 0) continue;
    const std::string name = device.filename().string();
    findings.push_back({"sriov", Verdict::kBad, fmt::format("{} gives new VFs to the host's drivers", name),
                        fmt::format("echo 0 > /sys/bus/pci/devices/{}/sriov_drivers_autoprobe", name)});
  }
  return findings.empty() ? no_nic("sriov") : findings;
}

std::vector<Finding> check_switchdev(const Host& host) {
  std::vector<Finding> findings;
  for (const fs::path& device : list_physical_functions(host.root)) {
    const std::string name = device.filename().string();
    const auto address = PciAddress::parse("pf", name);
    const auto mode = address && host.probes.eswitch_mode ? host.probes.eswitch_mode(*address) : std::nullopt;
    if (!mode) {
      findings.push_back({"switchdev", Verdict::kUnknown,
                          fmt::format("{}: the eSwitch's mode is not known", name),
                          fmt::format("devlink dev eswitch show pci/{} (iproute2, as root)", name)});
    } else if (*mode == "switchdev") {
      findings.push_back({"switchdev", Verdict::kGood, fmt::format("{} is in switchdev mode", name)});
    } else {
      findings.push_back({"switchdev", Verdict::kBad, fmt::format("{} is in {} mode", name, *mode),
                          fmt::format("without VMs: devlink dev eswitch set pci/{} mode switchdev", name)});
    }
  }
  return findings.empty() ? no_nic("switchdev") : findings;
}

std::vector<Finding> check_firmware(const Host& host) {
  std::vector<Finding> findings;
  for (const fs::path& device : list_physical_functions(host.root)) {
    if (!is_mlx5(device)) continue;
    const std::string name = device.filename().string();
    std::string version = "unknown";
    for (const fs::path& rdma : list_folder(device / "infiniband")) version = read_file(rdma / "fw_ver");
    findings.push_back(
        {"firmware", Verdict::kUnknown,
         fmt::format("{} runs {}; its settings cannot be read without NVIDIA's tools", name, version),
         fmt::format("mlxconfig -d {} query SRIOV_EN NUM_OF_VFS ATS_ENABLED FLEX_PARSER_PROFILE_ENABLE",
                     name)});
  }
  if (findings.empty()) return {{"firmware", Verdict::kNotApplicable, "no ConnectX or BlueField"}};
  return findings;
}

std::vector<Finding> check_dpdk(const Host& host) {
  std::vector<Finding> findings;
  for (const fs::path& device : list_physical_functions(host.root)) {
    if (!is_mlx5(device)) continue;
    const std::string name = device.filename().string();
    const bool has_verbs = !list_folder(device / "infiniband_verbs").empty();
    findings.push_back({"dpdk", has_verbs ? Verdict::kGood : Verdict::kBad,
                        fmt::format("{} has {} verbs device", name, has_verbs ? "a" : "no"),
                        has_verbs ? "" : "apt-get install rdma-core; modprobe -a mlx5_ib ib_uverbs"});
  }
  if (findings.empty()) return {{"dpdk", Verdict::kNotApplicable, "no ConnectX or BlueField"}};
  if (has_mlx5_driver(host.root)) {
    findings.push_back({"dpdk", Verdict::kGood, "DPDK's driver for ConnectX is installed"});
  } else {
    findings.push_back({"dpdk", Verdict::kUnknown, "DPDK's driver for ConnectX is not where Debian has it",
                        "apt-get install librte-net-mlx5-23, unless this DPDK is your own"});
  }
  return findings;
}

std::vector<Finding> check_representors(const Host& host) {
  std::vector<Finding> findings;
  std::size_t count = 0;
  for (const fs::path& netdev : list_folder(host.root / "sys/class/net")) {
    if (!is_representor(read_file(netdev / "phys_port_name"))) continue;
    ++count;
    const std::string name = netdev.filename().string();
    std::error_code error;
    const fs::path master = fs::read_symlink(netdev / "master", error);
    if (!error) {
      findings.push_back({"representors", Verdict::kBad,
                          fmt::format("{} is in {}: when its rules are gone, VMs reach each other through it",
                                      name, master.filename().string()),
                          fmt::format("ip link set {} nomaster", name)});
    }
    if (read_file(host.root / "proc/sys/net/ipv6/conf" / name / "disable_ipv6") != "1") {
      findings.push_back({"representors", Verdict::kBad,
                          fmt::format("{} speaks IPv6 with the VM behind it", name),
                          fmt::format("sysctl net.ipv6.conf.{}.disable_ipv6=1", name)});
    }
  }
  if (!findings.empty()) return findings;
  if (count == 0) return {{"representors", Verdict::kNotApplicable, "none"}};
  return {{"representors", Verdict::kGood, fmt::format("{}, none bridged, none with IPv6", count)}};
}

std::vector<Finding> check_foreign_managers(const Host& host) {
  std::vector<Finding> findings;
  const fs::path& root = host.root;
  if (fs::exists(root / "etc/sriov-operator") ||
      fs::exists(root / "etc/systemd/system/sriov-config.service")) {
    findings.push_back({"managers", Verdict::kBad, "sriov-network-operator configures VFs of this host",
                        "exclude this node from its SriovNetworkNodePolicies, remove /etc/sriov-operator"});
  }
  bool leaves_alone = false;
  for (const char* folder :
       {"etc/NetworkManager/conf.d", "usr/lib/NetworkManager/conf.d", "run/NetworkManager/conf.d"}) {
    for (const fs::path& file : list_folder(root / folder))
      leaves_alone = leaves_alone || read_file(file).contains("unmanaged-devices");
  }
  if (fs::exists(root / "run/NetworkManager") && !leaves_alone) {
    findings.push_back(
        {"managers", Verdict::kBad, "NetworkManager takes every network device",
         "unmanaged-devices=driver:mlx5_core under [keyfile] in /etc/NetworkManager/conf.d/berth.conf"});
  }
  for (const fs::path& file : list_folder(root / "etc/systemd/network")) {
    if (!read_file(file).contains("[SR-IOV]")) continue;
    findings.push_back({"managers", Verdict::kBad,
                        fmt::format("systemd-networkd sets VFs up: {}", file.filename().string()),
                        "remove its [SR-IOV] sections"});
  }
  if (findings.empty()) return {{"managers", Verdict::kGood, "nobody else manages VFs"}};
  return findings;
}

}  // namespace berth::host::preflight
