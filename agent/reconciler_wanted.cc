// The reconciler's part that only reads: what the tables demand of the eSwitch, scope by scope.
#include "agent/reconciler.h"
#include "dataplane/pipeline.h"

#include <optional>

namespace berth::agent {

using dataplane::LocalEndpoint;
using dataplane::Rule;

namespace {

LocalEndpoint endpoint_of(const Interface& interface) {
  return {.port = port_of(interface),
          .ips = interface.intent.ips,
          .mac = interface.intent.mac,
          .rates = interface.intent.rates,
          .policy = policy_set_of(interface.policy_set, interface.intent.policy_groups)};
}

bool is_at(const PortOwner& owner, UpdateStage stage) {
  return owner.attachment->update && owner.attachment->update->stage == stage;
}

// By what its packets go now.
LocalEndpoint endpoint_of(const PortOwner& owner) {
  LocalEndpoint self = endpoint_of(*owner.interface);
  const auto& other = owner.interface->other;
  if (!other || !is_at(owner, UpdateStage::kMoved)) return self;
  self.rates = other->rates;
  self.policy = policy_set_of(other->policy_set, other->policy_groups);
  return self;
}

// The set of this number, if the owner wants it to be held.
std::optional<dataplane::PolicySet> wanted_set(const PortOwner& owner, std::uint32_t number) {
  const Interface& one = *owner.interface;
  if (one.policy_set == number) return policy_set_of(number, one.intent.policy_groups);
  const bool has_both = is_at(owner, UpdateStage::kStaged) || is_at(owner, UpdateStage::kMoved);
  if (!has_both || !one.other || one.other->policy_set != number) return std::nullopt;
  return policy_set_of(number, one.other->policy_groups);
}

}  // namespace

std::vector<Scope> Reconciler::scopes_of_port(dataplane::EswitchPort port) {
  return {{.kind = Scope::Kind::kClosed, .port = port},
          {.kind = Scope::Kind::kPort, .port = port},
          {.kind = Scope::Kind::kDelivery, .port = port}};
}

std::vector<Scope> Reconciler::scopes_of_interface(const Interface& interface) {
  std::vector<Scope> scopes = scopes_of_port(port_of(interface));
  if (interface.policy_set != 0)
    scopes.push_back({.kind = Scope::Kind::kPolicySet, .policy_set = interface.policy_set});
  if (interface.other && interface.other->policy_set != 0)
    scopes.push_back({.kind = Scope::Kind::kPolicySet, .policy_set = interface.other->policy_set});
  return scopes;
}

std::vector<Scope> Reconciler::port_scopes_of(const Attachment& attachment) {
  std::vector<Scope> scopes;
  for (const Interface& one : attachment.interfaces) {
    if (!one.other) continue;
    scopes.push_back({.kind = Scope::Kind::kPort, .port = port_of(one)});
    scopes.push_back({.kind = Scope::Kind::kDelivery, .port = port_of(one)});
  }
  return scopes;
}

std::vector<Scope> Reconciler::other_set_scopes_of(const Attachment& attachment) {
  std::vector<Scope> scopes;
  for (const Interface& one : attachment.interfaces) {
    if (one.other && one.other->policy_set != 0)
      scopes.push_back({.kind = Scope::Kind::kPolicySet, .policy_set = one.other->policy_set});
  }
  return scopes;
}

// Whoever goes leaves the policy set that others still have as it is: what is refused there is not his.
std::vector<Scope> Reconciler::scopes_of(const Attachment& attachment) const {
  std::vector<Scope> scopes;
  for (const Interface& one : attachment.interfaces) {
    for (Scope& scope : scopes_of_interface(one)) {
      const bool is_shared = scope.kind == Scope::Kind::kPolicySet && attachment.gate != Gate::kOpen &&
                             !wanted_policy_set(scope.policy_set).empty();
      if (!is_shared) scopes.push_back(std::move(scope));
    }
  }
  return scopes;
}

std::vector<dataplane::HeldRule> Reconciler::rules_on_the_way(const Interface& interface) const {
  std::vector<Scope> scopes = scopes_of_interface(interface);
  scopes.push_back({.kind = Scope::Kind::kHost});
  scopes.push_back({.kind = Scope::Kind::kVpc, .vpc = interface.intent.vpc});
  std::vector<dataplane::HeldRule> rules;
  for (const Scope& scope : scopes) {
    const auto held = held_.find(scope);
    if (held == held_.end()) continue;
    for (auto next = held->second.begin(); next != held->second.end();) {
      if (scope.kind == Scope::Kind::kVpc && next->first.group == dataplane::group::kMapping) {
        // There may be a hundred thousand.
        next =
            held->second.lower_bound({.group = dataplane::group::kMapping + 1, .priority = 0, .match = {}});
        continue;
      }
      rules.push_back({.rule = next->second});
      ++next;
    }
  }
  return rules;
}

std::vector<Scope> Reconciler::scopes_of_vpc(const VpcId& vpc) const {
  std::vector<Scope> scopes = {{.kind = Scope::Kind::kVpc, .vpc = vpc}};
  for (const PortOwner& owner : attachments_.list_in(vpc)) {
    if (owner.attachment->gate != Gate::kOpen) continue;
    for (Scope& scope : scopes_of_interface(*owner.interface)) {
      if (scope.kind != Scope::Kind::kClosed) scopes.push_back(std::move(scope));
    }
  }
  return scopes;
}

std::vector<Scope> Reconciler::all_scopes() const {
  std::vector<Scope> scopes = {{.kind = Scope::Kind::kHost}};
  for (const auto& [id, vpc] : vpcs_.staged()) scopes.push_back({.kind = Scope::Kind::kVpc, .vpc = id});
  for (const Attachment& attachment : attachments_.list()) {
    const auto of_attachment = scopes_of(attachment);
    scopes.insert(scopes.end(), of_attachment.begin(), of_attachment.end());
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
  if (scope.kind == Scope::Kind::kPolicySet) return wanted_policy_set(scope.policy_set);
  const auto owner = attachments_.find_port(scope.port);
  const bool is_isolated = scope.kind == Scope::Kind::kClosed && isolated_.contains(scope.port);
  if (!owner && is_isolated) return dataplane::compile_closed(scope.port);
  if (!owner || owner->attachment->gate == Gate::kNone) return {};
  if (scope.kind == Scope::Kind::kClosed) return dataplane::compile_closed(scope.port);

  const dataplane::Vpc* vpc = vpcs_.find_staged(owner->interface->intent.vpc);
  if (owner->attachment->gate != Gate::kOpen || vpc == nullptr) return {};
  const LocalEndpoint self = endpoint_of(*owner);
  if (scope.kind == Scope::Kind::kPort) return dataplane::compile_port(*vpc, self);
  return dataplane::compile_delivery(*vpc, peers_of(*vpc, vpcs_.staged()), self);
}

// As long as one of its ports is open.
std::vector<Rule> Reconciler::wanted_policy_set(std::uint32_t number) const {
  for (const PortOwner& owner : attachments_.list_with_policy_set(number)) {
    const dataplane::Vpc* vpc = vpcs_.find_staged(owner.interface->intent.vpc);
    const auto set = wanted_set(owner, number);
    if (owner.attachment->gate != Gate::kOpen || vpc == nullptr || !set) continue;
    return dataplane::compile_policy_set(*vpc, *set);
  }
  return {};
}

dataplane::TableUse Reconciler::use_of(const InterfaceIntent& intent) const {
  const dataplane::Vpc* vpc = vpcs_.find_staged(intent.vpc);
  if (vpc == nullptr) return {};
  // Which function and which number make no difference.
  const bool is_new_set = !intent.policy_groups.empty() && attachments_.find_policy_set(intent) == 0;
  const Interface anywhere{.intent = intent, .function = {}, .policy_set = is_new_set ? 1U : 0U};
  const LocalEndpoint self = endpoint_of(anywhere);
  dataplane::TableUseSum sum;
  for (const std::vector<Rule>& rules :
       {dataplane::compile_policy_set(*vpc, self.policy), dataplane::compile_closed(self.port),
        dataplane::compile_port(*vpc, self),
        dataplane::compile_delivery(*vpc, peers_of(*vpc, vpcs_.staged()), self)}) {
    for (const Rule& rule : rules) sum.add(rule);
  }
  return sum.use();
}

dataplane::TableUse Reconciler::use_beside(const Interface& interface, const InterfaceValues& other) const {
  dataplane::TableUseSum sum;
  const dataplane::Vpc* vpc = vpcs_.find_staged(interface.intent.vpc);
  const bool is_new_set =
      !other.policy_groups.empty() && attachments_.find_policy_set(with_values(interface.intent, other)) == 0;
  if (is_new_set && vpc != nullptr) {
    for (const Rule& rule : dataplane::compile_policy_set(*vpc, policy_set_of(1, other.policy_groups)))
      sum.add(rule);
  }
  dataplane::TableUse use = sum.use();
  const dataplane::Rates& now = interface.intent.rates;
  if (other.rates.from_vm != 0 && other.rates.from_vm != now.from_vm) ++use.meters;
  if (other.rates.to_vm != 0 && other.rates.to_vm != now.to_vm) ++use.meters;
  return use;
}

std::optional<dataplane::PortAnswers> Reconciler::wanted_answers(dataplane::EswitchPort port) const {
  const auto owner = attachments_.find_port(port);
  if (!owner || owner->attachment->gate != Gate::kOpen) return std::nullopt;
  const InterfaceIntent& intent = owner->interface->intent;
  const dataplane::Vpc* vpc = vpcs_.find_staged(intent.vpc);
  if (vpc == nullptr) return std::nullopt;
  return dataplane::compile_answers(*vpc, endpoint_of(*owner), intent.mtu_bytes);
}

}  // namespace berth::agent
