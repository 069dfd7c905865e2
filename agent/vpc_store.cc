#include "agent/vpc_store.h"

#include <algorithm>

namespace berth::agent {
namespace {

// What the rules of the VPC's own policy are made of: its rules, and the families that it is for.
bool has_same_policy(const dataplane::Vpc& a, const dataplane::Vpc& b) {
  const auto family_of = [](const dataplane::Subnet& subnet) { return subnet.prefix.family(); };
  return a.policy == b.policy && std::ranges::equal(a.subnets, b.subnets, {}, family_of, family_of);
}

// Rules that are others get the next number; a group that was not there begins at 0.
void number_groups(const dataplane::Vpc& before, dataplane::Vpc& now) {
  for (dataplane::PolicyGroup& group : now.policy_groups) {
    const dataplane::PolicyGroup* old = find_policy_group(before, group.id);
    if (old == nullptr) continue;
    group.version = old->version;
    if (old->rules != group.rules) ++group.version;
  }
}

}  // namespace

std::shared_ptr<const dataplane::VpcSet> VpcStore::number(const dataplane::VpcSet& vpcs) const {
  auto numbered = std::make_shared<dataplane::VpcSet>(vpcs);
  for (auto& [id, vpc] : *numbered) {
    const dataplane::Vpc* before = find(id);
    if (before == nullptr || before == vpc.get()) continue;
    dataplane::Vpc changed = *vpc;
    changed.policy_version = before->policy_version;
    if (!has_same_policy(*before, changed)) ++changed.policy_version;
    number_groups(*before, changed);
    vpc = std::make_shared<const dataplane::Vpc>(std::move(changed));
  }
  return numbered;
}

// Only those that changed are indexed anew: the others are the same objects.
void VpcStore::accept(std::uint64_t version) {
  accepted_ = staged_;
  std::erase_if(indexed_, [&](const auto& entry) { return !accepted_->contains(entry.first); });
  for (const auto& [id, vpc] : *accepted_) {
    const auto known = indexed_.find(id);
    if (known == indexed_.end()) {
      indexed_.emplace(id, vpc);
    } else if (known->second.vpc != vpc) {
      known->second = Indexed(vpc);
    }
  }
  version_ = version;
  changed_.notify_all();
}

}  // namespace berth::agent
