// The only writer of eSwitch rules and slow path answers. It compiles the desired tables (attachments,
// VPCs, underlay) into rules, scope by scope, and changes on the device only what differs. Callers first
// write their desire into the tables, then ask to ensure() the scopes that it touches.
#pragma once

#include "agent/attachment_store.h"
#include "agent/vpc_store.h"
#include "base/async_mutex.h"
#include "dataplane/compile.h"
#include "dataplane/eswitch.h"
#include "dataplane/table_use.h"

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace berth::agent {

// What resync() found and did, in rules.
struct Adoption {
  std::size_t wanted_count = 0;
  std::size_t read_count = 0;   // read back one by one, because a digest differed
  std::size_t added_count = 0;  // or replaced
  std::size_t removed_count = 0;
  std::vector<std::string> isolated;  // functions that had rules and no attachment, a line each
};

// Which compile_* function of dataplane/compile.h, and for what.
struct Scope {
  enum class Kind : std::uint8_t { kHost, kVpc, kPolicySet, kClosed, kPort, kDelivery };
  Kind kind = Kind::kHost;
  VpcId vpc = {};                    // kVpc
  std::uint32_t policy_set = 0;      // kPolicySet
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

  // Makes the device hold all that the tables demand and nothing else, whatever it holds now; what is there
  // already is adopted untouched. For a start, and for an eSwitch that has been away. When rules are refused
  // the others are in place, and the first refusal is returned.
  Task<Adoption> resync();

  // Ensures the attachment's scopes once more and reads its rules and answers back from the eSwitch. Returns
  // the number of rules. DATA_LOSS (RULES_DIFFER, ANSWERS_DIFFER) when one is missing or is another one,
  // NOT_FOUND (VPC_UNKNOWN) when the gate is open and the VPC is gone.
  Task<std::size_t> verify(Attachment attachment);

  // The rules that a packet of this interface to itself, or to it from the wire, may meet, as they are
  // believed to be held: its own, the host's and its VPC's, remote mappings left out.
  std::vector<dataplane::HeldRule> rules_on_the_way(const Interface& interface) const;
  // Nothing changes a rule until it is released.
  Task<AsyncMutex::Lock> hold_still() { return mutex_.lock(); }

  // The audit (reconciler_audit.cc). What the eSwitch holds and should not, and the other way round, a line a
  // difference in testpmd syntax, the first few hundred; digests first, then only rules of owners that
  // differ. Nothing on the device is changed. What is found is known from then on, and repaired by the other
  // call.
  Task<std::vector<std::string>> find_rule_drift();
  Task<void> repair_rules();
  Task<std::vector<std::string>> find_answer_drift();
  Task<void> repair_answers();

  // Reads the rules of the policy sets of its other values back. Returns their number. DATA_LOSS
  // (RULES_DIFFER).
  Task<std::size_t> verify_other_sets(Attachment attachment);

  // Everything that the gate of this attachment decides.
  std::vector<Scope> scopes_of(const Attachment& attachment) const;
  // Everything that a change of this VPC, of one that it peers with, or of the underlay may touch.
  std::vector<Scope> scopes_of_vpc(const VpcId& vpc) const;

  // Of an attachment that is being updated: what leads its packets, and the policy sets of the other values.
  static std::vector<Scope> port_scopes_of(const Attachment& attachment);
  static std::vector<Scope> other_set_scopes_of(const Attachment& attachment);

  // What is held takes, as far as is known, and what this interface would add; its policy set's rules only
  // when no interface has it yet.
  dataplane::TableUse held_use() const;
  dataplane::TableUse use_of(const InterfaceIntent& intent) const;
  // What an interface's other values need beside those that it has: a policy set that no interface has yet,
  // and meters of other rates.
  dataplane::TableUse use_beside(const Interface& interface, const InterfaceValues& other) const;

  const dataplane::Underlay& underlay() const { return underlay_; }
  void set_next_hops(std::map<IpAddress, MacAddress> next_hops) {
    underlay_.next_hops = std::move(next_hops);
  }

 private:
  using Rules = std::map<dataplane::RuleKey, dataplane::Rule>;

  struct Plan {
    std::vector<dataplane::RuleChange> changes;
    Rules device;  // what the changes start from
    std::map<dataplane::RuleKey, Scope> scope_of;
  };
  enum class Remove : std::uint8_t { kStraysInTheWay, kEveryStray };

  // What ensure() does, for a caller that has the mutex; so with all of the following.
  Task<void> ensure_locked(std::vector<Scope> scopes);
  Plan make_plan(const std::vector<Scope>& scopes, Remove strays);
  Task<void> carry_out(std::vector<Scope> scopes, Plan plan);
  // Makes held_, strays_ and held_answers_ true again; reads only the rules of owners whose digests differ
  // from those of what is believed to be held. Does nothing when nobody can have changed anything.
  struct ReadBack {
    bool is_as_believed = true;
    std::size_t rule_count = 0;
  };
  Task<ReadBack> read_back_if_unsure();
  Task<std::size_t> verify_locked(dataplane::EswitchPort port);
  // Returns how many rules were read; nothing has changed when that fails.
  Task<std::size_t> read_back(std::set<dataplane::EswitchPort> owners,
                              std::set<dataplane::EswitchPort> owners_with_rules);
  void count_held();
  Task<void> read_back_answers();
  Task<void> read_back_noting(dataplane::EswitchPort owner);
  std::vector<std::string> isolate_strangers();
  std::set<dataplane::EswitchPort> answered_ports() const;
  std::vector<dataplane::RuleDigest> believed_digests() const;
  std::vector<Scope> all_scopes() const;
  // Everything that decides about one function.
  static std::vector<Scope> scopes_of_port(dataplane::EswitchPort port);
  static std::vector<Scope> scopes_of_interface(const Interface& interface);
  Task<void> ensure_answers(dataplane::EswitchPort port);
  Task<void> ensure_all_answers(std::vector<Scope> scopes);
  Result<void> check_answers(const std::vector<dataplane::SlowPathState>& states,
                             dataplane::EswitchPort port) const;
  std::vector<dataplane::Rule> wanted_rules(const Scope& scope) const;
  std::vector<dataplane::Rule> wanted_policy_set(std::uint32_t number) const;
  std::optional<dataplane::PortAnswers> wanted_answers(dataplane::EswitchPort port) const;

  dataplane::Eswitch& eswitch_;
  const AttachmentStore& attachments_;
  const VpcStore& vpcs_;
  dataplane::Underlay underlay_;
  AsyncMutex mutex_;  // one change at a time: each starts from what the last one left
  std::map<Scope, Rules> held_;
  dataplane::TableUseSum held_use_;  // of all scopes together
  // On the device, and of no scope that was ensured: an interrupted apply() or another berthd left them.
  Rules strays_;
  // Scopes that may not be as they are wanted: a change of theirs was refused, or the audit found them so.
  std::set<Scope> unfinished_;
  // Functions without an attachment that had rules: they keep a default drop.
  std::set<dataplane::EswitchPort> isolated_;
  // Of the eSwitch when it was last known what it holds; none: it is not known.
  std::optional<std::uint64_t> known_epoch_;
  std::map<dataplane::EswitchPort, dataplane::PortAnswers> held_answers_;
};

}  // namespace berth::agent
