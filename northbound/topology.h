// The Topology service: where the host's devices sit, and what keeps it so in a VM.
#pragma once

#include "agent/topology_view.h"
#include "berth/northbound/v1/topology.pb.h"
#include "rpc/server.h"

namespace berth::northbound {

class Topology {
 public:
  // `view` outlives the service, the service outlives the server that it is added to.
  explicit Topology(agent::TopologyView& view) : view_(view) {}

  void add_to(rpc::Server& server);

 private:
  Task<v1::HostTopology> get_topology();
  Task<v1::TopologyPlan> plan_topology(v1::PlanTopologyRequest request);

  agent::TopologyView& view_;
};

// Public for its test.
v1::HostTopology to_message(const host::topology::Topology& topology);

}  // namespace berth::northbound
