#include "agent/attachment.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::agent {
namespace {

std::string join(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

InterfaceIntent with_values(InterfaceIntent intent, const InterfaceValues& values) {
  intent.rates = values.rates;
  intent.policy_groups = values.policy_groups;
  return intent;
}

void keep_values(Attachment& attachment) {
  attachment.update->stage = UpdateStage::kKept;
  for (Interface& one : attachment.interfaces) {
    if (!one.other) continue;
    std::swap(one.intent.rates, one.other->rates);
    std::swap(one.intent.policy_groups, one.other->policy_groups);
    std::swap(one.policy_set, one.other->policy_set);
  }
}

std::string vpcs_of(const std::vector<InterfaceIntent>& interfaces) {
  std::vector<std::string> names;
  for (const InterfaceIntent& one : interfaces) names.push_back(one.vpc.str());
  return join(std::move(names));
}

std::string vpcs_of(const Attachment& attachment) {
  std::vector<std::string> names;
  for (const Interface& one : attachment.interfaces) names.push_back(one.intent.vpc.str());
  return join(std::move(names));
}

}  // namespace berth::agent
