// The hardware profile: which rules a ConnectX takes with either steering engine, as pure checks.
//
// A rule that passes here is one that mlx5 accepts; docs/software-eswitch.md lists the points HP-nn that
// the messages name. The checks see one rule at a time; what depends on the other rules (duplicates,
// pools, depth of jumps) is checked where they are kept (rule_book.h).
#pragma once

#include "dataplane/soft/port_map.h"
#include "dataplane/soft/rule_error.h"

#include <cstdint>

#include <rte_flow.h>

namespace berth::soft {

struct ProfileLimits {
  std::uint32_t max_group = 65530;
  std::uint32_t max_priority = 21843;
  std::uint32_t max_root_priority = 14;  // group 0
  std::uint32_t match_dwords = 5;        // 4-byte selectors of the match definer; 11 on the newest NICs
  std::uint32_t match_bytes = 8;         // single-byte selectors beside them
  std::uint32_t max_action_slots = 8;    // all modifications together take one
  std::uint32_t max_modify_commands = 32;
  std::uint32_t max_root_modify_commands = 16;  // group 0, of software steering
};

// What the actions check needs to know of a pattern that passed.
struct PatternFacts {
  PortIndex source = kNoPort;
  std::uint16_t outer = 0;  // Presence bits that the pattern demands
  std::uint16_t inner = 0;
  bool only_port = true;  // nothing is matched but the source port
};

// METER is of synchronous rules only, METER_MARK of templates only: no meter is common to both (HP-30).
// "Every source port" is an item without spec and mask in a rule, and no item in a template (HP-02).
// kSoftware is a rule as mlx5's software steering alone takes it (steering=software): what foreign clients of
// the synchronous API write. A rule without a port item is of the port that it is made on; group 0 is like
// the others; a spec may have bits outside its mask; the match definer of hardware steering does not limit it
// (HP-16).
enum class Dialect : std::uint8_t { kRule, kTemplate, kSoftware };

// How a rule is to be read: its dialect, and the port that it is made on.
struct RuleContext {
  Dialect dialect = Dialect::kRule;
  PortIndex made_on = kUplink;
};

RuleResult<void> check_attributes(const rte_flow_attr& attr, const ProfileLimits& limits);

RuleResult<PatternFacts> check_pattern(const rte_flow_item pattern[], const PortMap& ports,
                                       const ProfileLimits& limits, const RuleContext& context);

RuleResult<void> check_actions(const rte_flow_action actions[], const rte_flow_attr& attr,
                               const PatternFacts& pattern, const PortMap& ports, const ProfileLimits& limits,
                               const RuleContext& context);

// All three, and what holds between them.
RuleResult<PatternFacts> check_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                    const rte_flow_action actions[], const PortMap& ports,
                                    const ProfileLimits& limits, const RuleContext& context = {});

}  // namespace berth::soft
