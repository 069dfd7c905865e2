// Whether what interfaces name of VPCs is known on this host: admission that may have to wait, because
// controller and VMaaS do not know of each other.
#pragma once

#include "agent/attachment.h"
#include "agent/vpc_store.h"
#include "base/task.h"

#include <chrono>
#include <span>
#include <vector>

namespace berth::agent {

// UNAVAILABLE (VPCS_NOT_SYNCED), NOT_FOUND (VPC_UNKNOWN, POLICY_GROUP_UNKNOWN).
Result<void> check_known(const VpcStore& vpcs, std::span<const InterfaceIntent> interfaces);

// Waits for it until `give_up`; then the same errors. LIFETIME: `vpcs` outlives the call.
Task<void> wait_until_known(VpcStore& vpcs, std::vector<InterfaceIntent> interfaces,
                            std::chrono::steady_clock::time_point give_up);

}  // namespace berth::agent
