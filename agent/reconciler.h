// The only writer of eSwitch rules and slow path answers. It compiles the desired tables (attachments,
// VPCs, underlay) into rules, scope by scope, and changes on the device only what differs. Callers first
// write their desire into the tables, then ask to ensure() the scopes that it touches.
#pragma once

#include "agent/attachment_store.h"
#include "agent/vpc_store.h"
#include "base/async_mutex.h"
#include "dataplane/compile.h"
#include "dataplane/eswitch.h"

#include <compare>
#include <cstdint>
#include <map>
#include <vector>

namespace berth::agent {

// Which compile_* function of dataplane/compile.h, and for what.
struct Scope {
  enum class Kind : std::uint8_t { kHost, kVpc, kClosed, kPort, kDelivery };
  Kind kind = Kind::kHost;
  VpcId vpc = {};                    // kVpc
  dataplane::EswitchPort port = {};  // kClosed, kPort, kDelivery
  auto operator<=>(const Scope&) const = default;
};

class Reconciler {
 public:
  Reconciler(asio::any_io_executor executor, dataplane::Eswitch& eswitch, const AttachmentStore& attachments,
             const VpcStore& vpcs, dataplane::Underlay underlay);

  // Makes the device hold what the tables demand of `scopes` at the moment of the change. Idempotent.
  // On failure the first refusal is returned; what could be applied stays, and the next ensure() of
  // the scope tries the rest again.
  Task<void> ensure(std::vector<Scope> scopes);

  // Ensures the attachment's scopes once more and reads its rules and answers back from the eSwitch. Returns
  // the number of rules. DATA_LOSS (RULES_DIFFER, ANSWERS_DIFFER) when one is missing or is another one,
  // NOT_FOUND (VPC_UNKNOWN) when the gate is open and the VPC is gone.
  Task<std::size_t> verify(Attachment attachment);

  // Everything that the gate of this attachment decides.
  std::vector<Scope> scopes_of(const Attachment& attachment) const;
  // Everything that a change of this VPC, of one that it peers with, or of the underlay may touch.
  std::vector<Scope> scopes_of_vpc(const VpcId& vpc) const;

  const dataplane::Underlay& underlay() const { return underlay_; }
  void set_next_hops(std::map<IpAddress, MacAddress> next_hops) {
    underlay_.next_hops = std::move(next_hops);
  }

 private:
  using Rules = std::map<dataplane::RuleKey, dataplane::Rule>;

  // What ensure() does, for a caller that has the mutex.
  Task<void> ensure_locked(std::vector<Scope> scopes);
  Task<void> ensure_answers(dataplane::EswitchPort port);
  Result<void> check_answers(const std::vector<dataplane::SlowPathState>& states,
                             dataplane::EswitchPort port) const;
  std::vector<dataplane::Rule> wanted_rules(const Scope& scope) const;
  std::optional<dataplane::PortAnswers> wanted_answers(dataplane::EswitchPort port) const;

  dataplane::Eswitch& eswitch_;
  const AttachmentStore& attachments_;
  const VpcStore& vpcs_;
  dataplane::Underlay underlay_;
  AsyncMutex mutex_;  // one change at a time: each starts from what the last one left
  std::map<Scope, Rules> held_;
  std::map<dataplane::EswitchPort, dataplane::PortAnswers> held_answers_;
};

}  // namespace berth::agent
