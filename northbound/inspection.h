// The Inspection service: what an operator may look at on a live agent.
#pragma once

#include "agent/agent.h"
#include "berth/northbound/v1/inspection.pb.h"
#include "rpc/server.h"

namespace berth::northbound {

class Inspection {
 public:
  // `agent` outlives the service, the service outlives the server that it is added to.
  explicit Inspection(agent::Agent& agent) : agent_(agent) {}

  void add_to(rpc::Server& server);

 private:
  Task<void> show_rules(rpc::Writer<v1::HeldRule> shown);
  Task<v1::ExplainResponse> explain(v1::ExplainRequest request);
  Task<v1::ShowAuditResponse> show_audit();
  Task<v1::ShowVpcsResponse> show_vpcs();

  agent::Agent& agent_;
};

}  // namespace berth::northbound
