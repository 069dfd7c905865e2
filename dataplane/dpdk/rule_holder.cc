#include "dataplane/dpdk/rule_holder.h"

#include "dataplane/dpdk/lowering.h"

#include <cerrno>
#include <ranges>
#include <utility>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_flow.h>

namespace berth::dataplane::dpdk {
namespace {

// What rte_flow said about a rule. A full table may have room later; anything else is a verdict.
std::unexpected<Error> rule_refused(int code, const rte_flow_error& why) {
  const std::string message =
      fmt::format("{} ({})", why.message != nullptr ? why.message : "refused", rte_strerror(code));
  if (code == ENOMEM || code == ENOSPC || code == EAGAIN)
    return fail(Code::kResourceExhausted, "ESWITCH_FULL", message);
  return fail(Code::kHardwareRejected, "RULE_REFUSED", message);
}

}  // namespace

Result<void> RuleHolder::apply(const RuleChange& change) {
  if (const auto* add_rule = std::get_if<AddRule>(&change)) return add(add_rule->rule);
  return remove(std::get<RemoveRule>(change).key);
}

Result<void> RuleHolder::add(const Rule& rule) {
  const auto found = held_.find(rule.key);
  if (found == held_.end()) {
    const auto flow = create(rule, 0);
    if (!flow) return pass(flow);
    index(held_.emplace(rule.key, Held{.rule = rule, .flow = *flow}).first->second);
    return {};
  }
  Held& held = found->second;
  if (held.rule.actions != rule.actions) return replace(held, rule);
  unindex(held);
  held.rule = rule;
  index(held);
  return {};
}

// Make before break: one of the two always matches.
Result<void> RuleHolder::replace(Held& held, const Rule& rule) {
  const std::uint32_t slot = 1 - held.slot;
  const auto flow = create(rule, slot);
  if (!flow) return pass(flow);
  if (auto gone = destroy(held.flow, held.rule); !gone) {
    (void)destroy(*flow, rule);  // back to the old one alone; the caller hears why
    return gone;
  }
  unindex(held);
  held = {.rule = rule, .flow = *flow, .slot = slot};
  index(held);
  return {};
}

Result<void> RuleHolder::remove(const RuleKey& key) {
  const auto found = held_.find(key);
  if (found == held_.end()) return {};
  if (auto gone = destroy(found->second.flow, found->second.rule); !gone) return gone;
  unindex(found->second);
  held_.erase(found);
  return {};
}

Result<rte_flow*> RuleHolder::create(const Rule& rule, std::uint32_t slot) {
  std::uint32_t meter = 0;
  if (rule.actions.meter) {
    const auto acquired = meters_.acquire(*rule.actions.meter);
    if (!acquired) return pass(acquired);
    meter = *acquired;
  }
  const LoweredRule lowered(rule, 2 * rule.key.priority + slot, meter, number_of_);
  rte_flow_error why{};
  rte_flow* flow = rte_flow_create(proxy_, &lowered.attr(), lowered.items(), lowered.actions(), &why);
  if (flow != nullptr) return flow;
  const int code = rte_errno;
  if (rule.actions.meter) meters_.release(*rule.actions.meter);
  return rule_refused(code, why);
}

Result<void> RuleHolder::destroy(rte_flow* flow, const Rule& rule) {
  rte_flow_error why{};
  if (const int code = rte_flow_destroy(proxy_, flow, &why); code != 0) return rule_refused(-code, why);
  if (rule.actions.meter) meters_.release(*rule.actions.meter);
  return {};
}

void RuleHolder::clear() {
  for (const Held& held : held_ | std::views::values)
    (void)destroy(held.flow, held.rule);  // the port goes anyway
  by_function_.clear();
  held_.clear();
}

Result<std::vector<HeldRule>> RuleHolder::read(std::optional<EswitchPort> owner) const {
  std::vector<HeldRule> rules;
  const auto take = [&](const Held& held) -> Result<void> {
    auto one = read_one(held);
    if (!one) return pass(one);
    rules.push_back(*std::move(one));
    return {};
  };
  if (owner && !owner->is_uplink()) {
    const auto found = by_function_.find(*owner);
    if (found == by_function_.end()) return rules;
    for (const Held* held : found->second) {
      if (auto taken = take(*held); !taken) return pass(taken);
    }
    return rules;
  }
  for (const Held& held : held_ | std::views::values) {
    if (owner && held.rule.owner != *owner) continue;
    if (auto taken = take(held); !taken) return pass(taken);
  }
  return rules;
}

std::vector<RuleDigest> RuleHolder::digests() const {
  RuleDigests digests;
  for (const Held& held : held_ | std::views::values) digests.add(held.rule);
  return digests.list();
}

Result<HeldRule> RuleHolder::read_one(const Held& held) const {
  HeldRule read{.rule = held.rule};
  if (!held.rule.actions.count) return read;
  rte_flow_query_count count{};
  const rte_flow_action what[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT, .conf = nullptr},
                                  {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
  rte_flow_error why{};
  if (const int code = rte_flow_query(proxy_, held.flow, what, &count, &why); code != 0)
    return rule_refused(-code, why);
  read.packets = count.hits;
  read.bytes = count.bytes;
  return read;
}

void RuleHolder::index(const Held& held) {
  if (!held.rule.owner.is_uplink()) by_function_[held.rule.owner].insert(&held);
}

void RuleHolder::unindex(const Held& held) {
  const auto found = by_function_.find(held.rule.owner);
  if (found == by_function_.end()) return;
  found->second.erase(&held);
  if (found->second.empty()) by_function_.erase(found);
}

}  // namespace berth::dataplane::dpdk
