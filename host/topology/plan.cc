#include "host/topology/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::host::topology {
namespace {

constexpr unsigned kBuses = 256;

Result<std::vector<const Device*>> find_devices(const Topology& topology,
                                                std::span<const PciAddress> addresses) {
  std::set<PciAddress> seen;
  std::vector<const Device*> devices;
  for (const PciAddress& address : addresses) {
    const Device* device = topology.find(address);
    if (device == nullptr)
      return fail(Code::kNotFound, "DEVICE_UNKNOWN", fmt::format("{} is no NIC, GPU or NVMe drive", address));
    if (!seen.insert(address).second)
      return fail_field("devices", "DEVICE_TWICE", address.str() + " is there twice");
    devices.push_back(device);
  }
  if (devices.empty()) return fail_field("devices", "NO_DEVICE", "names no device");
  std::ranges::sort(devices, {}, [](const Device* device) {
    return std::tuple(device->numa_node, device->root_complex, device->address);
  });
  return devices;
}

PlannedRoot& root_for(Plan& plan, const Device& device) {
  for (PlannedRoot& root : plan.roots) {
    if (root.root_complex == device.root_complex) return root;
  }
  return plan.roots.emplace_back(PlannedRoot{.id = fmt::format("berth-pxb{}", plan.roots.size()),
                                             .root_complex = device.root_complex,
                                             .host_node = device.numa_node});
}

PlannedSwitch& switch_for(PlannedRoot& root, const PciAddress& upstream) {
  for (PlannedSwitch& planned : root.switches) {
    if (planned.mirrors == upstream) return planned;
  }
  return root.switches.emplace_back(
      PlannedSwitch{.id = fmt::format("{}-sw{}", root.id, root.switches.size()), .mirrors = upstream});
}

void add_port(std::vector<PlannedPort>& ports, const std::string& prefix, std::optional<PciAddress> device) {
  ports.push_back({.id = fmt::format("{}{}", prefix, ports.size()), .device = device});
}

// Each bus of the expander: its own, one behind every root port, and of a switch the inner one and one behind
// every downstream port.
unsigned buses_of(const PlannedRoot& root) {
  std::size_t count = 1 + root.ports.size();
  for (const PlannedSwitch& planned : root.switches) count += 2 + planned.ports.size();
  return static_cast<unsigned>(count);
}

// An expander has the numbers from its own up to the next one's, so they are dealt out from the top.
Result<void> number_buses(Plan& plan) {
  unsigned next = kBuses;
  for (auto root = plan.roots.rbegin(); root != plan.roots.rend(); ++root) {
    const unsigned wanted = buses_of(*root);
    if (wanted + kReservedBuses > next) {
      return fail(Code::kResourceExhausted, "BUS_NUMBERS_EXHAUSTED",
                  fmt::format("a VM has {} PCI buses; fewer devices or spare ports fit", kBuses));
    }
    next -= wanted;
    root->bus_number = next;
  }
  return {};
}

void number_nodes(Plan& plan) {
  std::map<int, int> guest_of;
  for (const PlannedRoot& root : plan.roots) {
    if (root.host_node >= 0) guest_of.emplace(root.host_node, 0);
  }
  int next = 0;
  for (auto& [host, guest] : guest_of) guest = next++;
  for (PlannedRoot& root : plan.roots) root.guest_node = root.host_node >= 0 ? guest_of[root.host_node] : -1;
}

// A port is told apart by chassis and slot; every port is a chassis of its own.
Result<void> number_chassis(Plan& plan) {
  unsigned next = 1;
  for (PlannedRoot& root : plan.roots) {
    for (PlannedSwitch& planned : root.switches) {
      planned.chassis = next++;
      for (PlannedPort& port : planned.ports) port.chassis = next++;
    }
    for (PlannedPort& port : root.ports) port.chassis = next++;
  }
  if (next - 1 <= kMaxChassis) return {};
  return fail(Code::kResourceExhausted, "PORTS_EXHAUSTED",
              fmt::format("the plan has {} ports, {} are possible", next - 1, kMaxChassis));
}

}  // namespace

Result<Plan> plan_virtual_topology(const Topology& topology, std::span<const PciAddress> addresses,
                                   unsigned spare_count) {
  if (spare_count > kMaxSpare)
    return fail_field("spare", "TOO_MANY_SPARE", fmt::format("at most {}", kMaxSpare));
  const auto devices = find_devices(topology, addresses);
  if (!devices) return pass(devices);
  Plan plan;
  for (const Device* device : *devices) {
    PlannedRoot& root = root_for(plan, *device);
    if (const auto upstream = switch_of(*device)) {
      PlannedSwitch& planned = switch_for(root, *upstream);
      add_port(planned.ports, planned.id + "-dn", device->address);
    } else {
      add_port(root.ports, root.id + "-rp", device->address);
    }
  }
  for (unsigned i = 0; i < spare_count; ++i) {
    PlannedRoot& root = plan.roots[i % plan.roots.size()];
    add_port(root.ports, root.id + "-rp", std::nullopt);
  }
  if (const auto numbered = number_buses(plan); !numbered) return pass(numbered);
  number_nodes(plan);
  if (const auto numbered = number_chassis(plan); !numbered) return pass(numbered);
  return plan;
}

}  // namespace berth::host::topology
