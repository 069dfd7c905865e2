// One controller's session as an IO-free state machine: a message in, what to do next out.
//
//   kGreeting --Hello--> kIdle --SnapshotBegin--> kSnapshot --SnapshotEnd--> kIdle
//                          |                         |
//                          +--Delta--> kIdle         +--Vpc--> kSnapshot
//
// A push is collected and checked here; the caller applies it (Agent::push_vpcs) and tells the outcome
// with finish_push(). Messages out of order end the session with FAILED_PRECONDITION (OUT_OF_ORDER).
#pragma once

#include "agent/agent.h"
#include "berth/southbound/v1/vpc_control.pb.h"
#include "dataplane/vpc_check.h"
#include "southbound/election.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace berth::southbound {

// What one host may be told; more is refused by name (LIMIT_EXCEEDED).
constexpr std::size_t kMaxVpcs = 4096;
constexpr std::size_t kMaxMappings = 1048576;

struct SessionStep {
  std::optional<v1::AgentMessage> reply;
  std::optional<agent::VpcPush> push;  // apply this, then call finish_push()
};

class ControllerSession {
 public:
  // What a delta is relative to, and what HelloAck tells.
  struct Known {
    std::shared_ptr<const dataplane::VpcSet> vpcs;
    std::uint64_t version = 0;
  };

  explicit ControllerSession(Election& election);
  ~ControllerSession();
  ControllerSession(const ControllerSession&) = delete;
  ControllerSession& operator=(const ControllerSession&) = delete;

  // An error ends the session.
  Result<SessionStep> take(const v1::ControllerMessage& message, const Known& known);
  v1::AgentMessage finish_push(const agent::VpcPush& push,
                               const std::vector<dataplane::ResourceError>& errors) const;

  bool is_primary() const { return election_.is_primary(id_); }
  const ControllerId& controller() const { return controller_; }

 private:
  enum class State : std::uint8_t { kGreeting, kIdle, kSnapshot };

  Result<SessionStep> take_hello(const v1::Hello& hello, const Known& known);
  Result<SessionStep> begin_snapshot(const v1::SnapshotBegin& begin);
  Result<SessionStep> take_vpc(const v1::Vpc& vpc);
  Result<SessionStep> end_snapshot();
  Result<SessionStep> take_delta(const v1::Delta& delta, const Known& known);

  void stage(const v1::Vpc& message);
  SessionStep close_push();

  Election& election_;
  Election::SessionId id_;
  ControllerId controller_;
  State state_ = State::kGreeting;

  // The push that is being collected.
  std::uint64_t version_ = 0;
  std::optional<std::uint64_t> base_version_;
  dataplane::VpcSet staged_;
  std::size_t staged_mappings_ = 0;
  std::vector<dataplane::ResourceError> errors_;
};

}  // namespace berth::southbound
