#include "southbound/controller_session.h"

#include "southbound/convert.h"

#include <utility>

#include <fmt/format.h>

namespace berth::southbound {
namespace {

std::unexpected<Error> out_of_order(std::string_view what) {
  return fail(Code::kFailedPrecondition, "OUT_OF_ORDER", fmt::format("{} does not belong here", what));
}

SessionStep nothing() {
  return {};
}

dataplane::ResourceError push_error(Code code, std::string reason, std::string message) {
  return {"", Error{code, std::move(message), std::move(reason)}};
}

}  // namespace

ControllerSession::ControllerSession(Election& election) : election_(election), id_(election.new_session()) {}
ControllerSession::~ControllerSession() {
  election_.leave(id_);
}

Result<SessionStep> ControllerSession::take(const v1::ControllerMessage& message, const Known& known) {
  switch (message.message_case()) {
    case v1::ControllerMessage::kHello:
      return take_hello(message.hello(), known);
    case v1::ControllerMessage::kSnapshotBegin:
      return begin_snapshot(message.snapshot_begin());
    case v1::ControllerMessage::kVpc:
      return take_vpc(message.vpc());
    case v1::ControllerMessage::kSnapshotEnd:
      return end_snapshot();
    case v1::ControllerMessage::kDelta:
      return take_delta(message.delta(), known);
    case v1::ControllerMessage::MESSAGE_NOT_SET:
      break;
  }
  return out_of_order("a message of unknown kind");
}

Result<SessionStep> ControllerSession::take_hello(const v1::Hello& hello, const Known& known) {
  if (state_ != State::kGreeting) return out_of_order("Hello");
  auto controller = ControllerId::parse("hello.controller", hello.controller());
  if (!controller) return pass(controller);
  controller_ = *std::move(controller);
  state_ = State::kIdle;
  SessionStep step;
  v1::HelloAck& ack = *step.reply.emplace().mutable_hello_ack();
  ack.set_primary(election_.stand(id_, controller_, hello.election_id()));
  ack.set_highest_election_id(election_.highest());
  ack.set_accepted_version(known.version);
  return step;
}

Result<SessionStep> ControllerSession::begin_snapshot(const v1::SnapshotBegin& begin) {
  if (state_ != State::kIdle) return out_of_order("SnapshotBegin");
  state_ = State::kSnapshot;
  version_ = begin.version();
  return nothing();
}

Result<SessionStep> ControllerSession::take_vpc(const v1::Vpc& vpc) {
  if (state_ != State::kSnapshot) return out_of_order("Vpc");
  stage(vpc);
  return nothing();
}

Result<SessionStep> ControllerSession::end_snapshot() {
  if (state_ != State::kSnapshot) return out_of_order("SnapshotEnd");
  state_ = State::kIdle;
  return close_push();
}

Result<SessionStep> ControllerSession::take_delta(const v1::Delta& delta, const Known& known) {
  if (state_ != State::kIdle) return out_of_order("Delta");
  version_ = delta.version();
  if (known.version == 0) {
    errors_.push_back(
        push_error(Code::kFailedPrecondition, "NO_SNAPSHOT", "a delta needs a snapshot before it"));
    return close_push();
  }
  base_version_ = known.version;
  staged_ = *known.vpcs;
  for (const std::string& id : delta.deletes()) staged_.erase(VpcId::trusted(id));
  for (const v1::Vpc& vpc : delta.upserts()) {
    if (const auto id = VpcId::parse("id", vpc.id()); id) staged_.erase(*id);
  }
  for (const auto& [id, vpc] : staged_) staged_mappings_ += vpc->mappings.size();
  for (const v1::Vpc& vpc : delta.upserts()) stage(vpc);
  return close_push();
}

// Nothing is kept of a push that will be refused in any case, and nothing is converted that is too big.
void ControllerSession::stage(const v1::Vpc& message) {
  if (!is_primary()) return;
  const auto is_over = [](int count, std::size_t limit) { return static_cast<std::size_t>(count) > limit; };
  if (is_over(message.subnets_size(), dataplane::kMaxSubnetsPerVpc) ||
      is_over(message.mappings_size(), dataplane::kMaxMappingsPerVpc) ||
      is_over(message.policy_size(), dataplane::kMaxPolicyRulesPerVpc)) {
    errors_.push_back({fmt::format("vpc/{}", message.id().substr(0, 63)),
                       Error{Code::kResourceExhausted,
                             fmt::format("more than {} subnets, {} mappings or {} policy rules",
                                         dataplane::kMaxSubnetsPerVpc, dataplane::kMaxMappingsPerVpc,
                                         dataplane::kMaxPolicyRulesPerVpc),
                             "LIMIT_EXCEEDED"}});
    return;
  }
  staged_mappings_ += static_cast<std::size_t>(message.mappings_size());
  if (staged_.size() >= kMaxVpcs || staged_mappings_ > kMaxMappings) {
    if (errors_.empty()) {
      errors_.push_back(push_error(Code::kResourceExhausted, "LIMIT_EXCEEDED",
                                   fmt::format("more than {} VPCs or {} mappings", kMaxVpcs, kMaxMappings)));
    }
    return;
  }
  const std::size_t faults_before = errors_.size();
  constexpr std::size_t kEnoughFaults = 100;
  if (faults_before >= kEnoughFaults) return;
  auto vpc = to_vpc(message, errors_);
  if (errors_.size() != faults_before) return;
  const VpcId id = vpc.id;
  if (!staged_.emplace(id, std::make_shared<const dataplane::Vpc>(std::move(vpc))).second) {
    errors_.push_back({fmt::format("vpc/{}", id),
                       Error{Code::kInvalidArgument, "is given twice in one push", "DUPLICATE"}});
  }
}

SessionStep ControllerSession::close_push() {
  agent::VpcPush push{.vpcs = std::make_shared<const dataplane::VpcSet>(std::exchange(staged_, {})),
                      .version = version_,
                      .base_version = std::exchange(base_version_, std::nullopt)};
  auto errors = std::exchange(errors_, {});
  staged_mappings_ = 0;
  if (!is_primary()) {
    errors.insert(errors.begin(), push_error(Code::kFailedPrecondition, "NOT_PRIMARY",
                                             fmt::format("election id {} is primary", election_.highest())));
  }
  if (push.version == 0)
    errors.push_back(push_error(Code::kInvalidArgument, "MALFORMED_VERSION", "version must not be 0"));
  if (errors.empty()) return {.reply = std::nullopt, .push = std::move(push)};
  return {.reply = finish_push(push, errors), .push = std::nullopt};
}

v1::AgentMessage ControllerSession::finish_push(const agent::VpcPush& push,
                                                const std::vector<dataplane::ResourceError>& errors) const {
  v1::AgentMessage message;
  if (errors.empty()) {
    message.mutable_ack()->set_version(push.version);
  } else {
    message.mutable_nack()->set_version(push.version);
    fill_errors(*message.mutable_nack(), errors);
  }
  return message;
}

}  // namespace berth::southbound
