// What the compile_*.cc files share.
#pragma once

#include "dataplane/compile.h"
#include "dataplane/pipeline.h"

#include <utility>

namespace berth::dataplane {

inline Rule make_rule(Purpose purpose, EswitchPort owner, RuleKey key, Actions actions) {
  return Rule{.key = std::move(key), .actions = std::move(actions), .purpose = purpose, .owner = owner};
}

inline Actions jump(std::uint16_t to) {
  return {.fate = JumpTo{to}};
}
inline Actions counted_jump(std::uint16_t to) {
  return {.count = true, .fate = JumpTo{to}};
}
inline Actions counted_drop() {
  return {.count = true, .fate = Drop{}};
}

// TAG index 1 of packets that this version of the VPC's policy judges; never 0.
inline std::uint32_t policy_tag(const Vpc& vpc) {
  return vpc.vni.value() << 8 | vpc.policy_version;
}

// One direction of the VPC's policy.
void append_policy(std::vector<Rule>& rules, const Vpc& vpc, Direction direction);

}  // namespace berth::dataplane
