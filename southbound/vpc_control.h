// The southbound service on the wire: per controller stream one coroutine that drives a
// ControllerSession and the agent, and one that tells the controller which VMs are here.
#pragma once

#include "agent/agent.h"
#include "rpc/server.h"
#include "southbound/controller_session.h"

namespace berth::southbound {

class VpcControl {
 public:
  // `agent` outlives the service, the service outlives the server that it is added to.
  VpcControl(agent::Agent& agent, asio::any_io_executor executor)
      : agent_(agent), executor_(std::move(executor)) {}

  void add_to(rpc::Server& server);

 private:
  // Runs until the controller half-closes, breaks the protocol, or is gone.
  Task<void> sync(rpc::Reader<v1::ControllerMessage> messages, rpc::Writer<v1::AgentMessage> replies);

  agent::Agent& agent_;
  asio::any_io_executor executor_;
  Election election_;
};

}  // namespace berth::southbound
