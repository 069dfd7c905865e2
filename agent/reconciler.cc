#include "agent/reconciler.h"

#include "dataplane/diff.h"
#include "dataplane/rule_text.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace berth::agent {

using dataplane::Rule;
using dataplane::RuleKey;

namespace {

const RuleKey& key_of(const dataplane::RuleChange& change) {
  const auto* add = std::get_if<dataplane::AddRule>(&change);
  return add != nullptr ? add->rule.key : std::get<dataplane::RemoveRule>(change).key;
}

// Books what became of one change. A rule that could not be replaced is still there.
Result<void> take_outcome(std::map<RuleKey, Rule>& device, const dataplane::RuleChange& change,
                          const Result<void>& outcome) {
  if (const auto* add = std::get_if<dataplane::AddRule>(&change)) {
    if (!outcome) return pass(outcome, "rule " + format_rule_body(add->rule, dataplane::berth_numbering));
    device.insert_or_assign(add->rule.key, add->rule);
    return {};
  }
  if (!outcome) return pass(outcome, "remove a rule");
  device.erase(std::get<dataplane::RemoveRule>(change).key);
  return {};
}

// `what` is for the message.
Result<void> compare(const std::map<RuleKey, Rule>& expected, const std::map<RuleKey, Rule>& found,
                     const std::string& what) {
  for (const auto& [key, rule] : expected) {
    const auto entry = found.find(key);
    if (entry == found.end() || entry->second.actions != rule.actions) {
      return fail(Code::kDataLoss, "RULES_DIFFER",
                  fmt::format("{}: the eSwitch does not hold {}", what,
                              format_rule_body(rule, dataplane::berth_numbering)));
    }
  }
  return {};
}

}  // namespace

Reconciler::Reconciler(asio::any_io_executor executor, dataplane::Eswitch& eswitch,
                       const AttachmentStore& attachments, const VpcStore& vpcs, dataplane::Underlay underlay)
    : eswitch_(eswitch),
      attachments_(attachments),
      vpcs_(vpcs),
      underlay_(std::move(underlay)),
      mutex_(std::move(executor)) {}

Task<void> Reconciler::ensure(std::vector<Scope> scopes) {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  co_return co_await ensure_locked(std::move(scopes));
}

Task<Adoption> Reconciler::resync() {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  // What is wanted is believed to be there: digests tell where it is not.
  auto scopes = all_scopes();
  Adoption adoption;
  held_.clear();
  strays_.clear();
  std::set<RuleKey> seen;
  for (const Scope& scope : scopes) {
    for (Rule& rule : wanted_rules(scope)) {
      if (!seen.insert(rule.key).second) continue;
      held_[scope].emplace(rule.key, std::move(rule));
      ++adoption.wanted_count;
    }
  }
  count_held();
  known_epoch_.reset();
  const auto read = co_await read_back_if_unsure();
  if (!read) co_return pass(read);
  adoption.read_count = read->rule_count;
  for (const std::string& line : isolate_strangers()) adoption.isolated.push_back(line);
  for (const dataplane::EswitchPort port : isolated_)
    scopes.push_back({.kind = Scope::Kind::kClosed, .port = port});

  Result<void> outcome;
  if (!read->is_as_believed) {
    Plan plan = make_plan(scopes, Remove::kEveryStray);
    for (const auto& change : plan.changes) {
      const bool adds = std::holds_alternative<dataplane::AddRule>(change);
      ++(adds ? adoption.added_count : adoption.removed_count);
    }
    outcome = co_await carry_out(scopes, std::move(plan));
  }
  const auto answered = co_await ensure_all_answers(scopes);
  if (!outcome) co_return pass(outcome);
  if (!answered) co_return pass(answered);
  co_return adoption;
}

Task<void> Reconciler::ensure_locked(std::vector<Scope> scopes) {
  const auto read = co_await read_back_if_unsure();
  if (!read) co_return pass(read);
  Plan plan = make_plan(scopes, Remove::kStraysInTheWay);
  co_return co_await carry_out(std::move(scopes), std::move(plan));
}

// One diff over all scopes, so that additions come before removals across them too. A key may move
// from one scope to another (two VPCs that swap their VNIs): who wants it, has it.
Reconciler::Plan Reconciler::make_plan(const std::vector<Scope>& scopes, Remove strays) {
  Plan plan;
  std::vector<Rule> wanted;
  for (const Scope& scope :
       std::set<Scope>(scopes.begin(), scopes.end())) {  // several ports have one policy set
    for (Rule& rule : wanted_rules(scope)) {
      plan.scope_of.emplace(rule.key, scope);
      wanted.push_back(std::move(rule));
    }
  }
  for (const Scope& scope : scopes) {
    for (const auto& [key, rule] : held_[scope]) {
      plan.scope_of.emplace(key, scope);
      plan.device.emplace(key, rule);
    }
  }
  // A stray is in the way where it has a wanted rule's key, or is of a function that has an owner now.
  std::set<dataplane::EswitchPort> owned;
  for (const Scope& scope : scopes) {
    if (scope.kind == Scope::Kind::kClosed) owned.insert(scope.port);
  }
  for (auto next = strays_.begin(); next != strays_.end();) {
    const auto stray = next++;
    if (strays == Remove::kStraysInTheWay && !plan.scope_of.contains(stray->first) &&
        !owned.contains(stray->second.owner)) {
      continue;
    }
    plan.scope_of.emplace(stray->first, Scope());  // should it be refused to go, the host's scope keeps it
    plan.device.insert(strays_.extract(stray));
  }
  std::vector<Rule> held;
  for (const auto& [key, rule] : plan.device) held.push_back(rule);
  plan.changes = dataplane::diff_rules(held, wanted);
  return plan;
}

Task<void> Reconciler::carry_out(std::vector<Scope> scopes, Plan plan) {
  const auto outcomes = co_await eswitch_.apply(plan.changes);
  if (!outcomes) {
    known_epoch_.reset();  // nobody knows how far it came
    co_return pass(outcomes);
  }
  Result<void> first_refusal;
  for (const Scope& scope : scopes) unfinished_.erase(scope);
  for (std::size_t i = 0; i < plan.changes.size(); ++i) {
    const auto refused = take_outcome(plan.device, plan.changes[i], (*outcomes)[i]);
    if (refused) continue;
    known_epoch_.reset();  // whatever a refusal has left, is seen before the next change
    unfinished_.insert(plan.scope_of.at(key_of(plan.changes[i])));
    if (first_refusal) first_refusal = refused;
  }
  for (const Scope& scope : scopes) {
    const auto old = held_.find(scope);
    if (old == held_.end()) continue;
    for (const auto& [key, rule] : old->second) held_use_.remove(rule);
    held_.erase(old);
  }
  for (const auto& [key, rule] : plan.device) {
    if (held_[plan.scope_of.at(key)].emplace(key, rule).second) held_use_.add(rule);
  }
  for (const Scope& scope : scopes) {
    if (scope.kind != Scope::Kind::kPort) continue;
    const auto ensured = co_await ensure_answers(scope.port);
    if (!ensured && first_refusal) first_refusal = ensured;
  }
  co_return first_refusal;
}

// Those of ports that nobody has any more included.
Task<void> Reconciler::ensure_all_answers(std::vector<Scope> scopes) {
  std::set<dataplane::EswitchPort> ports;
  for (const auto& [port, answers] : held_answers_) ports.insert(port);
  for (const Scope& scope : scopes) {
    if (scope.kind == Scope::Kind::kPort) ports.insert(scope.port);
  }
  Result<void> first_refusal;
  for (const dataplane::EswitchPort port : ports) {
    const auto ensured = co_await ensure_answers(port);
    if (!ensured && first_refusal) first_refusal = ensured;
  }
  co_return first_refusal;
}

Task<Reconciler::ReadBack> Reconciler::read_back_if_unsure() {
  const auto epoch = eswitch_.epoch();
  if (known_epoch_ == epoch) co_return ReadBack();
  const auto digests = co_await eswitch_.read_digests();
  if (!digests) co_return pass(digests);
  std::vector<dataplane::RuleDigest> different;
  std::ranges::set_symmetric_difference(*digests, believed_digests(), std::back_inserter(different));
  std::set<dataplane::EswitchPort> owners;
  for (const dataplane::RuleDigest& digest : different) owners.insert(digest.owner);
  std::set<dataplane::EswitchPort> owners_with_rules;
  for (const dataplane::RuleDigest& digest : *digests) owners_with_rules.insert(digest.owner);
  ReadBack found{.is_as_believed = owners.empty()};
  const auto read = co_await read_back(std::move(owners), std::move(owners_with_rules));
  if (!read) co_return pass(read);
  found.rule_count = *read;
  const auto answers = co_await read_back_answers();
  if (!answers) co_return pass(answers);
  known_epoch_ = epoch;
  co_return found;
}

// A rule that a scope was believed to hold stays with it, as it really is; the others are strays. One walk
// over what is believed, however many owners there are.
Task<std::size_t> Reconciler::read_back(std::set<dataplane::EswitchPort> owners,
                                        std::set<dataplane::EswitchPort> owners_with_rules) {
  if (owners.empty()) co_return std::size_t{0};
  std::vector<dataplane::HeldRule> found;
  for (const dataplane::EswitchPort owner : owners) {
    if (!owners_with_rules.contains(owner)) continue;
    auto rules = co_await eswitch_.read_rules(owner);
    if (!rules) co_return pass(rules, fmt::format("rules of {}", owner));
    std::ranges::move(*rules, std::back_inserter(found));
  }
  std::map<RuleKey, Scope> scope_of;
  const auto is_theirs = [&](const auto& entry) { return owners.contains(entry.second.owner); };
  for (auto& [scope, held] : held_) {
    for (const auto& entry : held) {
      if (is_theirs(entry)) scope_of.emplace(entry.first, scope);
    }
    std::erase_if(held, is_theirs);
  }
  std::erase_if(strays_, is_theirs);
  for (const dataplane::HeldRule& held : found) {
    const auto scope = scope_of.find(held.rule.key);
    Rules& place = scope == scope_of.end() ? strays_ : held_[scope->second];
    place.insert_or_assign(held.rule.key, held.rule);
  }
  count_held();
  co_return found.size();
}

void Reconciler::count_held() {
  held_use_ = {};
  for (const auto& [scope, rules] : held_) {
    for (const auto& [key, rule] : rules) held_use_.add(rule);
  }
}

dataplane::TableUse Reconciler::held_use() const {
  dataplane::TableUseSum strays;
  for (const auto& [key, rule] : strays_) strays.add(rule);
  dataplane::TableUse all = held_use_.use();
  all += strays.use();
  return all;
}

Task<void> Reconciler::read_back_answers() {
  const auto states = co_await eswitch_.read_slow_path(std::nullopt);
  if (!states) co_return pass(states);
  held_answers_.clear();
  for (const dataplane::SlowPathState& state : *states) {
    if (state.answers) held_answers_.emplace(state.port, *state.answers);
  }
  co_return Result<void>();
}

std::vector<dataplane::RuleDigest> Reconciler::believed_digests() const {
  dataplane::RuleDigests digests;
  for (const auto& [scope, rules] : held_) {
    for (const auto& [key, rule] : rules) digests.add(rule);
  }
  for (const auto& [key, rule] : strays_) digests.add(rule);
  return digests.list();
}

Task<void> Reconciler::ensure_answers(dataplane::EswitchPort port) {
  const auto wanted = wanted_answers(port);
  const auto held = held_answers_.find(port);
  if (held == held_answers_.end() ? !wanted : wanted == held->second) co_return Result<void>();
  const auto set = co_await eswitch_.set_answers(port, wanted);
  if (!set) {
    known_epoch_.reset();
    co_return pass(set, fmt::format("answers of {}", port));
  }
  held_answers_.erase(port);
  if (wanted) held_answers_.emplace(port, *wanted);
  co_return Result<void>();
}

Task<std::size_t> Reconciler::verify(Attachment attachment) {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  for (const Interface& one : attachment.interfaces) {
    if (attachment.gate == Gate::kOpen && vpcs_.find_staged(one.intent.vpc) == nullptr)
      co_return fail(Code::kNotFound, "VPC_UNKNOWN", fmt::format("VPC {} is gone", one.intent.vpc));
  }
  const auto ensured = co_await ensure_locked(scopes_of(attachment));
  if (!ensured) co_return pass(ensured);
  std::size_t count = 0;
  for (const Interface& one : attachment.interfaces) {
    const auto verified = co_await verify_locked(port_of(one));
    if (!verified) co_return pass(verified);
    count += *verified;
  }
  co_return count;
}

Task<std::size_t> Reconciler::verify_other_sets(Attachment attachment) {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  Rules expected;
  for (const Scope& scope : other_set_scopes_of(attachment)) {
    for (const Rule& rule : wanted_rules(scope)) expected.emplace(rule.key, rule);
  }
  if (expected.empty()) co_return std::size_t{0};
  std::vector<RuleKey> keys;
  for (const auto& [key, rule] : expected) keys.push_back(key);
  const auto read = co_await eswitch_.read_rules(std::move(keys));
  if (!read) co_return pass(read);
  Rules found;
  for (const dataplane::HeldRule& held : *read) found.emplace(held.rule.key, held.rule);
  if (const auto same = compare(expected, found, "a policy set"); !same) co_return pass(same);
  co_return expected.size();
}

Task<std::size_t> Reconciler::verify_locked(dataplane::EswitchPort port) {
  Rules expected;  // before the next await: nobody else changes it, the mutex is ours
  for (const Scope& scope : scopes_of_port(port)) expected.insert(held_[scope].begin(), held_[scope].end());
  Rules found;
  const auto read = co_await eswitch_.read_rules(port);
  if (!read) co_return pass(read);
  for (const dataplane::HeldRule& held : *read) found.emplace(held.rule.key, held.rule);
  if (const auto same = compare(expected, found, fmt::format("{}", port)); !same) co_return pass(same);
  const auto states = co_await eswitch_.read_slow_path(port);
  if (!states) co_return pass(states);
  const auto answers = check_answers(*states, port);
  if (!answers) co_return pass(answers);
  co_return expected.size();
}

Result<void> Reconciler::check_answers(const std::vector<dataplane::SlowPathState>& states,
                                       dataplane::EswitchPort port) const {
  const auto state = std::ranges::find(states, port, &dataplane::SlowPathState::port);
  if (state != states.end() && state->answers == wanted_answers(port)) return {};
  return fail(Code::kDataLoss, "ANSWERS_DIFFER",
              fmt::format("{}: the slow path does not hold its answers", port));
}

}  // namespace berth::agent
