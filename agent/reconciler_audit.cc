// The reconciler's part of the audit: what the eSwitch holds, compared with what is believed and with what is
// wanted. The mutex is held for one question to the eSwitch where nothing differs.
#include "agent/reconciler.h"
#include "dataplane/rule_text.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace berth::agent {

using dataplane::EswitchPort;
using dataplane::Rule;
using dataplane::RuleKey;

namespace {

constexpr std::size_t kMaxDriftLines = 256;

std::string body(const Rule& rule) {
  return format_rule_body(rule, dataplane::berth_numbering);
}

std::string line_of(const dataplane::RuleChange& change, const std::map<RuleKey, Rule>& held) {
  if (const auto* remove = std::get_if<dataplane::RemoveRule>(&change))
    return "foreign: " + body(held.at(remove->key));
  const Rule& wanted = std::get<dataplane::AddRule>(change).rule;
  const auto found = held.find(wanted.key);
  if (found == held.end()) return "missing: " + body(wanted);
  return fmt::format("instead of {}: {}", body(wanted), body(found->second));
}

}  // namespace

Task<std::vector<std::string>> Reconciler::find_rule_drift() {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  const auto digests = co_await eswitch_.read_digests();
  if (!digests) co_return pass(digests);
  std::vector<dataplane::RuleDigest> different;
  std::ranges::set_symmetric_difference(*digests, believed_digests(), std::back_inserter(different));
  std::set<EswitchPort> owners;
  for (const dataplane::RuleDigest& digest : different) owners.insert(digest.owner);
  for (const EswitchPort owner : owners) {
    const auto read = co_await read_back_noting(owner);
    if (!read) co_return pass(read);
  }
  std::vector<std::string> lines = isolate_strangers();
  if (unfinished_.empty() && strays_.empty()) co_return lines;

  // A plan that is not carried out: what it would change is what differs.
  const Rules strays = strays_;
  const Plan plan = make_plan({unfinished_.begin(), unfinished_.end()}, Remove::kEveryStray);
  strays_ = strays;
  for (const auto& change : plan.changes) {
    if (lines.size() == kMaxDriftLines) {
      lines.push_back(fmt::format("and {} more", plan.changes.size() - kMaxDriftLines));
      break;
    }
    lines.push_back(line_of(change, plan.device));
  }
  if (plan.changes.empty()) unfinished_.clear();
  co_return lines;
}

Task<void> Reconciler::repair_rules() {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  std::vector<Scope> scopes(unfinished_.begin(), unfinished_.end());
  Plan plan = make_plan(scopes, Remove::kEveryStray);
  co_return co_await carry_out(std::move(scopes), std::move(plan));
}

// Scopes that have lost a rule, or whose rule is another one, are to be ensured again.
Task<void> Reconciler::read_back_noting(EswitchPort owner) {
  std::map<RuleKey, std::pair<Scope, Rule>> believed;
  for (const auto& [scope, rules] : held_) {
    for (const auto& [key, rule] : rules) {
      if (rule.owner == owner) believed.emplace(key, std::pair(scope, rule));
    }
  }
  const auto read = co_await read_back({owner}, {owner});
  if (!read) co_return pass(read);
  for (const auto& [key, was] : believed) {
    const Rules& now = held_[was.first];
    const auto found = now.find(key);
    if (found == now.end() || found->second.actions != was.second.actions) unfinished_.insert(was.first);
  }
  co_return Result<void>();
}

// A function that has rules and no attachment may be in somebody's hands: it keeps a default drop, until it
// is attached and given back in order.
std::vector<std::string> Reconciler::isolate_strangers() {
  std::erase_if(isolated_, [&](EswitchPort port) { return attachments_.find_port(port).has_value(); });
  std::vector<std::string> lines;
  for (const auto& [key, rule] : strays_) {
    if (rule.owner.is_uplink() || attachments_.find_port(rule.owner)) continue;
    unfinished_.insert({.kind = Scope::Kind::kClosed, .port = rule.owner});
    if (!isolated_.insert(rule.owner).second) continue;
    lines.push_back(fmt::format("{} has rules and is nobody's: isolated", rule.owner));
  }
  return lines;
}

Task<std::vector<std::string>> Reconciler::find_answer_drift() {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  const auto read = co_await read_back_answers();
  if (!read) co_return pass(read);
  std::vector<std::string> lines;
  for (const EswitchPort port : answered_ports()) {
    // An operation moves the gate first, and waits for this look to end before it changes the answers.
    const auto owner = attachments_.find_port(port);
    if (owner && owner->attachment->has_operation) continue;
    const auto wanted = wanted_answers(port);
    const auto held = held_answers_.find(port);
    const bool has_any = held != held_answers_.end();
    if (has_any ? wanted == held->second : !wanted) continue;
    lines.push_back(fmt::format("{} of {}",
                                !has_any  ? "missing: those"
                                : !wanted ? "foreign: those"
                                          : "others than those",
                                port));
  }
  co_return lines;
}

Task<void> Reconciler::repair_answers() {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  co_return co_await ensure_all_answers(all_scopes());
}

std::set<EswitchPort> Reconciler::answered_ports() const {
  std::set<EswitchPort> ports;
  for (const auto& [port, answers] : held_answers_) ports.insert(port);
  for (const Attachment& attachment : attachments_.list()) {
    for (const Interface& one : attachment.interfaces) ports.insert(port_of(one));
  }
  return ports;
}

}  // namespace berth::agent
