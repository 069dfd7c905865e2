#include "agent/topology_view.h"

#include "base/offload.h"

namespace berth::agent {

using host::topology::Topology;

Task<Topology> TopologyView::read() {
  auto look = [root = root_] { return host::topology::read_topology(root); };
  co_return co_await offload(reader_.get_executor(), std::move(look));
}

Task<host::StartArguments> TopologyView::plan(std::vector<host::PciAddress> devices, unsigned spare_ports) {
  const auto topology = co_await read();
  if (!topology) co_return pass(topology);
  const auto plan = host::topology::plan_virtual_topology(*topology, devices, spare_ports);
  if (!plan) co_return pass(plan);
  co_return host::topology::format_plan(*plan);
}

}  // namespace berth::agent
