// What keeps devices of different VMs apart, and what lets those of one VM speak directly.
#include "host/preflight/preflight.h"
#include "host/topology/topology.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::host::preflight {
namespace {

using topology::Capability;
using topology::Device;
using topology::Kind;

bool is_pcie_port(const topology::Bridge& bridge, std::size_t place) {
  // Upstream ports of switches have no ACS; they are every second bridge behind the root port.
  return bridge.acs != Capability::kAbsent || place % 2 == 0;
}

// IOMMU groups with several functions of different devices: one VM's is not apart from another's.
std::vector<Finding> shared_groups(const topology::Topology& topology) {
  std::map<unsigned, std::vector<std::string>> groups;
  for (const Device& device : topology.devices) {
    if (device.iommu_group) groups[*device.iommu_group].push_back(device.address.str());
  }
  std::vector<Finding> findings;
  for (const auto& [group, members] : groups) {
    if (members.size() < 2) continue;
    findings.push_back({"acs", Verdict::kBad,
                        fmt::format("IOMMU group {} has {} functions, which only one VM can have: {}", group,
                                    members.size(), fmt::join(members, ", ")),
                        "turn ACS on in the firmware's setup, or use another slot; not pcie_acs_override"});
  }
  return findings;
}

}  // namespace

std::vector<Finding> check_isolation(const Host& host) {
  const auto topology = topology::read_topology(host.root);
  if (!topology) return {{"acs", Verdict::kUnknown, topology.error().message, "run it on the host"}};
  std::vector<Finding> findings = shared_groups(*topology);
  std::set<PciAddress> without;
  std::size_t unknown = 0;
  std::size_t ports = 0;
  for (const Device& device : topology->devices) {
    for (std::size_t i = 0; i < device.bridges.size(); ++i) {
      const topology::Bridge& bridge = device.bridges[i];
      if (!is_pcie_port(bridge, i)) continue;
      ++ports;
      unknown += bridge.acs == Capability::kUnknown ? 1 : 0;
      if (bridge.acs == Capability::kOff || bridge.acs == Capability::kAbsent) without.insert(bridge.address);
    }
  }
  for (const PciAddress& bridge : without) {
    findings.push_back(
        {"acs", Verdict::kBad, fmt::format("port {} does not keep what is behind it apart", bridge),
         fmt::format("turn ACS on in the firmware's setup; lspci -vvv -s {} shows ACSCtl", bridge)});
  }
  if (unknown > 0) {
    findings.push_back(
        {"acs", Verdict::kUnknown, fmt::format("{} ports do not show it", unknown), "run it as root"});
  }
  if (!findings.empty()) return findings;
  if (ports == 0) return {{"acs", Verdict::kNotApplicable, "no NIC, GPU or NVMe drive behind a port"}};
  return {{"acs", Verdict::kGood, "on at every port, every function has an IOMMU group of its own"}};
}

std::vector<Finding> check_ats(const Host& host) {
  const auto topology = topology::read_topology(host.root);
  if (!topology) return {{"ats", Verdict::kUnknown, topology.error().message, "run it on the host"}};
  if (std::ranges::none_of(topology->devices, [](const Device& d) { return d.kind == Kind::kGpu; }))
    return {{"ats", Verdict::kNotApplicable, "no GPU: only GPUDirect needs it"}};
  std::vector<Finding> findings;
  for (const Device& device : topology->devices) {
    if (device.kind != Kind::kNic || device.physical_function) continue;
    if (device.ats == Capability::kUnknown) {
      findings.push_back({"ats", Verdict::kUnknown, fmt::format("{} does not show it", device.address),
                          fmt::format("as root: lspci -vvv -s {} | grep ATSCtl", device.address)});
    } else if (device.ats != Capability::kOn) {
      findings.push_back(
          {"ats", Verdict::kBad,
           fmt::format("{}: {}, so GPUDirect RDMA in VMs takes the way through the CPU", device.address,
                       topology::capability_name(device.ats)),
           fmt::format("mlxconfig -d {} set ATS_ENABLED=true, then restart the host", device.address)});
    }
  }
  if (findings.empty()) return {{"ats", Verdict::kGood, "on at every NIC"}};
  return findings;
}

}  // namespace berth::host::preflight
