#include "agent/reconciler.h"

#include "dataplane/diff.h"
#include "dataplane/rule_text.h"

#include <algorithm>
#include <utility>

namespace berth::agent {

using dataplane::LocalEndpoint;
using dataplane::Rule;
using dataplane::RuleKey;

namespace {

LocalEndpoint endpoint_of(const Attachment& attachment) {
  return {.port = port_of(attachment),
          .ips = attachment.intent.ips,
          .mac = attachment.intent.mac,
          .rates = attachment.intent.rates};
}

// Books what became of one change. A rule that was to be replaced and was refused counts as gone: the
// next ensure() adds what is wanted then, which does no harm where the old one is still there.
Result<void> take_outcome(std::map<RuleKey, Rule>& device, const dataplane::RuleChange& change,
                          const Result<void>& outcome) {
  if (const auto* add = std::get_if<dataplane::AddRule>(&change)) {
    device.erase(add->rule.key);
    if (!outcome) return pass(outcome, "rule " + format_rule_body(add->rule, dataplane::berth_numbering));
    device.emplace(add->rule.key, add->rule);
    return {};
  }
  if (!outcome) return pass(outcome, "remove a rule");
  device.erase(std::get<dataplane::RemoveRule>(change).key);
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

Task<void> Reconciler::ensure_locked(std::vector<Scope> scopes) {
  // One diff over all scopes, so that additions come before removals across them too. A key may move
  // from one scope to another (two VPCs that swap their VNIs): who wants it, has it.
  std::map<RuleKey, Scope> scope_of;
  std::vector<Rule> wanted;
  for (const Scope& scope : scopes) {
    for (Rule& rule : wanted_rules(scope)) {
      scope_of.emplace(rule.key, scope);
      wanted.push_back(std::move(rule));
    }
  }
  Rules device;
  for (const Scope& scope : scopes) {
    for (const auto& [key, rule] : held_[scope]) {
      scope_of.emplace(key, scope);
      device.emplace(key, rule);
    }
  }
  std::vector<Rule> held;
  for (const auto& [key, rule] : device) held.push_back(rule);
  const auto changes = dataplane::diff_rules(held, wanted);
  const auto outcomes = co_await eswitch_.apply(changes);
  if (!outcomes) co_return pass(outcomes);

  Result<void> first_refusal;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto refused = take_outcome(device, changes[i], (*outcomes)[i]);
    if (!refused && first_refusal) first_refusal = refused;
  }
  for (const Scope& scope : scopes) held_.erase(scope);
  for (const auto& [key, rule] : device) held_[scope_of.at(key)].emplace(key, rule);
  for (const Scope& scope : scopes) {
    if (scope.kind != Scope::Kind::kPort) continue;
    const auto ensured = co_await ensure_answers(scope.port);
    if (!ensured && first_refusal) first_refusal = ensured;
  }
  co_return first_refusal;
}

Task<void> Reconciler::ensure_answers(dataplane::EswitchPort port) {
  const auto wanted = wanted_answers(port);
  const auto held = held_answers_.find(port);
  if (held == held_answers_.end() ? !wanted : wanted == held->second) co_return Result<void>();
  const auto set = co_await eswitch_.set_answers(port, wanted);
  if (!set) co_return pass(set, fmt::format("answers of {}", port));
  held_answers_.erase(port);
  if (wanted) held_answers_.emplace(port, *wanted);
  co_return Result<void>();
}

Task<std::size_t> Reconciler::verify(Attachment attachment) {
  const auto lock = co_await mutex_.lock();
  if (!lock) co_return pass(lock);
  if (attachment.gate == Gate::kOpen && vpcs_.find_staged(attachment.intent.vpc) == nullptr) {
    co_return fail(Code::kNotFound, "VPC_UNKNOWN", fmt::format("VPC {} is gone", attachment.intent.vpc));
  }
  const auto scopes = scopes_of(attachment);
  const auto ensured = co_await ensure_locked(scopes);
  if (!ensured) co_return pass(ensured);
  Rules expected;  // before the next await: nobody else changes it, the mutex is ours
  for (const Scope& scope : scopes) expected.insert(held_[scope].begin(), held_[scope].end());

  Rules found;
  const auto read = co_await eswitch_.read_rules(port_of(attachment));
  if (!read) co_return pass(read);
  for (const dataplane::HeldRule& held : *read) found.emplace(held.rule.key, held.rule);
  std::size_t count = 0;
  for (const auto& [key, rule] : expected) {
    const auto entry = found.find(key);
    if (entry == found.end() || entry->second.actions != rule.actions) {
      co_return fail(Code::kDataLoss, "RULES_DIFFER",
                     fmt::format("{}: the eSwitch does not hold {}", port_of(attachment),
                                 format_rule_body(rule, dataplane::berth_numbering)));
    }
    ++count;
  }
  const auto states = co_await eswitch_.read_slow_path();
  if (!states) co_return pass(states);
  const auto answers = check_answers(*states, port_of(attachment));
  if (!answers) co_return pass(answers);
  co_return count;
}

Result<void> Reconciler::check_answers(const std::vector<dataplane::SlowPathState>& states,
                                       dataplane::EswitchPort port) const {
  const auto state = std::ranges::find(states, port, &dataplane::SlowPathState::port);
  if (state != states.end() && state->answers == wanted_answers(port)) return {};
  return fail(Code::kDataLoss, "ANSWERS_DIFFER",
              fmt::format("{}: the slow path does not hold its answers", port));
}

std::vector<Scope> Reconciler::scopes_of(const Attachment& attachment) const {
  const auto port = port_of(attachment);
  return {{.kind = Scope::Kind::kClosed, .port = port},
          {.kind = Scope::Kind::kPort, .port = port},
          {.kind = Scope::Kind::kDelivery, .port = port}};
}

std::vector<Scope> Reconciler::scopes_of_vpc(const VpcId& vpc) const {
  std::vector<Scope> scopes = {{.kind = Scope::Kind::kVpc, .vpc = vpc}};
  for (const Attachment& attachment : attachments_.list_in(vpc)) {
    if (attachment.gate != Gate::kOpen) continue;
    scopes.push_back({.kind = Scope::Kind::kPort, .port = port_of(attachment)});
    scopes.push_back({.kind = Scope::Kind::kDelivery, .port = port_of(attachment)});
  }
  return scopes;
}

std::vector<Rule> Reconciler::wanted_rules(const Scope& scope) const {
  if (scope.kind == Scope::Kind::kHost) return dataplane::compile_host(underlay_);
  if (scope.kind == Scope::Kind::kVpc) {
    const dataplane::Vpc* vpc = vpcs_.find_staged(scope.vpc);
    if (vpc == nullptr) return {};
    return dataplane::compile_vpc(*vpc, peers_of(*vpc, vpcs_.staged()), underlay_);
  }
  const Attachment* attachment = attachments_.find_port(scope.port);
  if (attachment == nullptr || attachment->gate == Gate::kNone) return {};
  if (scope.kind == Scope::Kind::kClosed) return dataplane::compile_closed(scope.port);

  const dataplane::Vpc* vpc = vpcs_.find_staged(attachment->intent.vpc);
  if (attachment->gate != Gate::kOpen || vpc == nullptr) return {};
  const LocalEndpoint self = endpoint_of(*attachment);
  if (scope.kind == Scope::Kind::kPort) return dataplane::compile_port(*vpc, self);
  return dataplane::compile_delivery(*vpc, peers_of(*vpc, vpcs_.staged()), self);
}

std::optional<dataplane::PortAnswers> Reconciler::wanted_answers(dataplane::EswitchPort port) const {
  const Attachment* attachment = attachments_.find_port(port);
  if (attachment == nullptr || attachment->gate != Gate::kOpen) return std::nullopt;
  const dataplane::Vpc* vpc = vpcs_.find_staged(attachment->intent.vpc);
  if (vpc == nullptr) return std::nullopt;
  return dataplane::compile_answers(*vpc, endpoint_of(*attachment), attachment->intent.mtu_bytes);
}

}  // namespace berth::agent
