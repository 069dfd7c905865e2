#include "dataplane/dpdk/rule_holder.h"

#include <algorithm>
#include <ranges>
#include <utility>

namespace berth::dataplane::dpdk {

Result<void> RuleHolder::apply(const RuleChange& change) {
  if (const auto* add_rule = std::get_if<AddRule>(&change)) return add(add_rule->rule);
  if (const auto* remove_rule = std::get_if<RemoveRule>(&change)) return remove(remove_rule->key);
  discount(std::get<DiscountRule>(change));
  return {};
}

Result<void> RuleHolder::add(const Rule& rule) {
  const auto found = held_.find(rule.key);
  if (found == held_.end()) {
    const auto installed = steering_->create(rule, 0);
    if (!installed) return pass(installed);
    index(held_.emplace(rule.key, Held{.rule = rule, .installed = *installed}).first->second);
    return {};
  }
  Held& held = found->second;
  if (held.rule.actions != rule.actions) return replace(held, rule);
  unindex(held);
  held.rule = rule;
  index(held);
  return {};
}

// Make before break: one of the two always matches. A packet that the old one takes after it was asked for
// its count is in nobody's.
Result<void> RuleHolder::replace(Held& held, const Rule& rule) {
  const std::uint32_t slot = 1 - held.slot;
  const auto installed = steering_->create(rule, slot);
  if (!installed) return pass(installed);
  const auto last = read_one(held);
  Count former;
  if (last && rule.actions.count) former = {.packets = last->packets, .bytes = last->bytes};
  if (auto gone = steering_->destroy(held.installed, held.rule); !gone) {
    (void)steering_->destroy(*installed, rule);  // back to the old one alone; the caller hears why
    return gone;
  }
  unindex(held);
  held = {.rule = rule, .installed = *installed, .slot = slot, .discount = {}, .former = former};
  index(held);
  return {};
}

Result<void> RuleHolder::remove(const RuleKey& key) {
  const auto found = held_.find(key);
  if (found == held_.end()) return {};
  if (auto gone = steering_->destroy(found->second.installed, found->second.rule); !gone) return gone;
  unindex(found->second);
  held_.erase(found);
  return {};
}

void RuleHolder::discount(const DiscountRule& discount) {
  const auto found = held_.find(discount.key);
  if (found == held_.end()) return;
  found->second.discount.packets += discount.packets;
  found->second.discount.bytes += discount.bytes;
}

void RuleHolder::clear() {
  // The port goes anyway.
  for (const Held& held : held_ | std::views::values) (void)steering_->destroy(held.installed, held.rule);
  by_function_.clear();
  held_.clear();
}

Result<std::vector<HeldRule>> RuleHolder::read(const RuleFilter& which) const {
  if (which.keys) return read_keys(*which.keys);
  const auto& owner = which.owner;
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

Result<std::vector<HeldRule>> RuleHolder::read_keys(std::vector<RuleKey> keys) const {
  std::ranges::sort(keys);
  const auto repeated = std::ranges::unique(keys);
  keys.erase(repeated.begin(), repeated.end());
  std::vector<HeldRule> rules;
  for (const RuleKey& key : keys) {
    const auto found = held_.find(key);
    if (found == held_.end()) continue;
    auto one = read_one(found->second);
    if (!one) return pass(one);
    rules.push_back(*std::move(one));
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
  const auto count = steering_->query(held.installed);
  if (!count) return pass(count);
  const Count all{.packets = count->packets + held.former.packets, .bytes = count->bytes + held.former.bytes};
  read.packets = all.packets - std::min(all.packets, held.discount.packets);
  read.bytes = all.bytes - std::min(all.bytes, held.discount.bytes);
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
