#include "northbound/topology.h"

#include <utility>

namespace berth::northbound {
namespace {

namespace topology = host::topology;

v1::CapabilityState to_message(topology::Capability capability) {
  switch (capability) {
    case topology::Capability::kUnknown:
      return v1::UNKNOWN;
    case topology::Capability::kAbsent:
      return v1::ABSENT;
    case topology::Capability::kOff:
      return v1::OFF;
    case topology::Capability::kOn:
      return v1::ON;
  }
  return v1::UNKNOWN;
}

v1::PciDevice::Kind to_message(topology::Kind kind) {
  switch (kind) {
    case topology::Kind::kNic:
      return v1::PciDevice::NIC;
    case topology::Kind::kGpu:
      return v1::PciDevice::GPU;
    case topology::Kind::kNvme:
      return v1::PciDevice::NVME;
    case topology::Kind::kOther:
      break;  // not in what read_topology() returns
  }
  return v1::PciDevice::KIND_UNSPECIFIED;
}

v1::PciDevice to_message(const topology::Device& device) {
  v1::PciDevice message;
  message.set_address(device.address.str());
  message.set_kind(to_message(device.kind));
  message.set_vendor(device.vendor);
  message.set_device(device.device);
  if (device.physical_function) message.set_physical_function(device.physical_function->str());
  if (device.numa_node >= 0) message.set_numa_node(device.numa_node);
  message.set_root_complex(device.root_complex);
  for (const topology::Bridge& bridge : device.bridges) {
    v1::PciBridge& shown = *message.add_bridges();
    shown.set_address(bridge.address.str());
    shown.set_vendor(bridge.vendor);
    shown.set_device(bridge.device);
    shown.set_acs(to_message(bridge.acs));
    shown.set_acs_control(bridge.acs_control);
  }
  message.mutable_link()->set_speed(device.link.speed);
  message.mutable_link()->set_width(device.link.width);
  message.mutable_link()->set_max_speed(device.link.max_speed);
  message.mutable_link()->set_max_width(device.link.max_width);
  if (device.iommu_group) message.set_iommu_group(*device.iommu_group);
  message.set_ats(to_message(device.ats));
  message.set_netdev(device.netdev);
  return message;
}

}  // namespace

// VFs get no distances: there may be thousands, and theirs are those of their PF.
v1::HostTopology to_message(const topology::Topology& topology) {
  v1::HostTopology message;
  for (const topology::Device& device : topology.devices) {
    v1::PciDevice& shown = *message.add_devices();
    shown = to_message(device);
    if (device.physical_function) continue;
    for (const topology::Device& other : topology.devices) {
      if (other.physical_function) continue;
      v1::Distance& distance = *shown.add_distances();
      distance.set_to(other.address.str());
      // The levels of both are in the same order, after UNSPECIFIED.
      distance.set_level(static_cast<v1::Distance::Level>(
          static_cast<int>(topology::distance(topology, device, other)) + 1));
    }
  }
  return message;
}

void Topology::add_to(rpc::Server& server) {
  server.unary<v1::GetTopologyRequest, v1::HostTopology>(
      "berth.northbound.v1.Topology/GetTopology",
      [this](rpc::Context, v1::GetTopologyRequest) { return get_topology(); });
  server.unary<v1::PlanTopologyRequest, v1::TopologyPlan>(
      "berth.northbound.v1.Topology/PlanTopology",
      [this](rpc::Context, v1::PlanTopologyRequest request) { return plan_topology(std::move(request)); });
}

Task<v1::HostTopology> Topology::get_topology() {
  const auto topology = co_await view_.read();
  if (!topology) co_return pass(topology);
  co_return to_message(*topology);
}

Task<v1::TopologyPlan> Topology::plan_topology(v1::PlanTopologyRequest request) {
  std::vector<host::PciAddress> devices;
  for (const std::string& text : request.devices()) {
    const auto address = host::PciAddress::parse("devices", text);
    if (!address) co_return pass(address);
    devices.push_back(*address);
  }
  const auto planned = co_await view_.plan(std::move(devices), request.spare_ports());
  if (!planned) co_return pass(planned);
  v1::TopologyPlan plan;
  plan.mutable_qemu()->Assign(planned->qemu.begin(), planned->qemu.end());
  plan.set_libvirt_xml(planned->libvirt_xml);
  co_return plan;
}

}  // namespace berth::northbound
