#include "agent/known_vpcs.h"

#include "agent/admission.h"

#include <fmt/format.h>

namespace berth::agent {

Result<void> check_known(const VpcStore& vpcs, std::span<const InterfaceIntent> interfaces) {
  if (!vpcs.is_synced())
    return fail(Code::kUnavailable, "VPCS_NOT_SYNCED", "no controller has told this host its VPCs yet");
  for (const InterfaceIntent& one : interfaces) {
    const dataplane::Vpc* vpc = vpcs.find(one.vpc);
    if (vpc == nullptr)
      return fail(Code::kNotFound, "VPC_UNKNOWN", fmt::format("VPC {} is not known on this host", one.vpc));
    if (const auto group = find_missing_group(one.policy_groups, *vpc)) {
      return fail(Code::kNotFound, "POLICY_GROUP_UNKNOWN",
                  fmt::format("VPC {} has no policy group {} on this host", one.vpc, *group));
    }
  }
  return {};
}

Task<void> wait_until_known(VpcStore& vpcs, std::vector<InterfaceIntent> interfaces,
                            std::chrono::steady_clock::time_point give_up) {
  for (auto known = check_known(vpcs, interfaces); !known; known = check_known(vpcs, interfaces)) {
    const auto left = give_up - std::chrono::steady_clock::now();
    const auto woken = co_await with_deadline(left, vpcs.changed().wait());
    if (woken || check_known(vpcs, interfaces)) continue;
    if (woken.error().code != Code::kDeadlineExceeded) co_return pass(woken);
    co_return known;
  }
  co_return Result<void>();
}

}  // namespace berth::agent
