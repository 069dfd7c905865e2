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

// TAG index 1 of packets that this version of the set judges; never 0. Where two versions of a set differ, at
// least one of its parts has another version, by one: the sum of all tells them apart.
std::uint32_t policy_tag(const Vpc& vpc, const PolicySet& set);

// Both directions of a policy.
void append_policy(std::vector<Rule>& rules, const Vpc& vpc, const PolicySet& set);

}  // namespace berth::dataplane
