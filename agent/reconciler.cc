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
  return {.port = port_of(attachment), .ip = attachment.intent.ip, .mac = attachment.intent.mac};
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

  // One diff over all scopes, so that additions come before removals across them too.
  std::vector<Rule> held;
  std::vector<Rule> wanted;
  std::map<RuleKey, Scope> scope_of;
  for (const Scope& scope : scopes) {
    for (const auto& [key, rule] : held_[scope]) {
      held.push_back(rule);
      scope_of.emplace(key, scope);
    }
    for (Rule& rule : wanted_rules(scope)) {
      scope_of.emplace(rule.key, scope);
      wanted.push_back(std::move(rule));
    }
  }
  const auto changes = dataplane::diff_rules(held, wanted);
  if (changes.empty()) co_return Result<void>();
  const auto outcomes = co_await eswitch_.apply(changes);
  if (!outcomes) co_return pass(outcomes);

  Result<void> first_refusal;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Result<void>& outcome = (*outcomes)[i];
    if (const auto* add = std::get_if<dataplane::AddRule>(&changes[i])) {
      if (outcome) held_[scope_of.at(add->rule.key)].insert_or_assign(add->rule.key, add->rule);
      if (!outcome && first_refusal) {
        first_refusal = pass(outcome, "rule " + format_rule_body(add->rule, dataplane::berth_numbering));
      }
    } else if (const auto* remove = std::get_if<dataplane::RemoveRule>(&changes[i])) {
      if (outcome) held_[scope_of.at(remove->key)].erase(remove->key);
      if (!outcome && first_refusal) first_refusal = pass(outcome, "remove a rule");
    }
  }
  for (const Scope& scope : scopes) {
    if (const auto found = held_.find(scope); found != held_.end() && found->second.empty())
      held_.erase(found);
  }
  co_return first_refusal;
}

Task<std::size_t> Reconciler::verify(dataplane::EswitchPort port) {
  const auto found = co_await eswitch_.read_rules(port);
  if (!found) co_return pass(found);
  std::map<RuleKey, Rule> on_device;
  for (const dataplane::HeldRule& held : *found) on_device.emplace(held.rule.key, held.rule);
  for (const auto kind : {Scope::Kind::kClosed, Scope::Kind::kPort, Scope::Kind::kDelivery}) {
    for (const Rule& rule : wanted_rules({.kind = kind, .port = port})) {
      const auto entry = on_device.find(rule.key);
      if (entry == on_device.end() || entry->second.actions != rule.actions) {
        co_return fail(Code::kDataLoss, "RULES_DIFFER",
                       fmt::format("{}: the eSwitch does not hold {}", port,
                                   format_rule_body(rule, dataplane::berth_numbering)));
      }
    }
  }
  co_return on_device.size();
}

std::vector<Scope> Reconciler::scopes_of(const Attachment& attachment) const {
  const auto port = port_of(attachment);
  std::vector<Scope> scopes = {{.kind = Scope::Kind::kClosed, .port = port},
                               {.kind = Scope::Kind::kVpc, .vpc = attachment.intent.vpc},
                               {.kind = Scope::Kind::kPort, .port = port},
                               {.kind = Scope::Kind::kDelivery, .port = port}};
  for (const LocalEndpoint& neighbour : open_endpoints(attachment.intent.vpc)) {
    if (neighbour.port != port) scopes.push_back({.kind = Scope::Kind::kDelivery, .port = neighbour.port});
  }
  return scopes;
}

std::vector<Scope> Reconciler::scopes_of_vpc(const VpcId& vpc) const {
  std::vector<Scope> scopes = {{.kind = Scope::Kind::kVpc, .vpc = vpc}};
  for (const LocalEndpoint& endpoint : open_endpoints(vpc)) {
    scopes.push_back({.kind = Scope::Kind::kPort, .port = endpoint.port});
    scopes.push_back({.kind = Scope::Kind::kDelivery, .port = endpoint.port});
  }
  return scopes;
}

std::vector<Rule> Reconciler::wanted_rules(const Scope& scope) const {
  if (scope.kind == Scope::Kind::kHost) return dataplane::compile_host(underlay_);
  if (scope.kind == Scope::Kind::kVpc) {
    const dataplane::Vpc* vpc = vpcs_.find(scope.vpc);
    if (vpc == nullptr || open_endpoints(scope.vpc).empty()) return {};
    return dataplane::compile_vpc(*vpc, underlay_);
  }
  const Attachment* attachment = attachments_.find_port(scope.port);
  if (attachment == nullptr || attachment->gate == Gate::kNone) return {};
  if (scope.kind == Scope::Kind::kClosed) return dataplane::compile_closed(scope.port);

  const dataplane::Vpc* vpc = vpcs_.find(attachment->intent.vpc);
  if (attachment->gate != Gate::kOpen || vpc == nullptr) return {};
  const LocalEndpoint self = endpoint_of(*attachment);
  if (scope.kind == Scope::Kind::kPort) return dataplane::compile_port(*vpc, self, underlay_);
  std::vector<LocalEndpoint> neighbours = open_endpoints(attachment->intent.vpc);
  std::erase(neighbours, self);
  return dataplane::compile_delivery(*vpc, self, neighbours);
}

std::vector<LocalEndpoint> Reconciler::open_endpoints(const VpcId& vpc) const {
  std::vector<LocalEndpoint> endpoints;
  for (const Attachment& attachment : attachments_.list_in(vpc)) {
    if (attachment.gate == Gate::kOpen) endpoints.push_back(endpoint_of(attachment));
  }
  return endpoints;
}

}  // namespace berth::agent
