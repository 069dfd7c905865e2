// Pattern and actions templates of the asynchronous rte_flow API, and how a rule is made of them.
//
// A pattern template fixes items and masks, a rule brings the specs. An actions template fixes the actions
// and, where its mask says so, their configuration; the rule brings the rest. What comes out is an ordinary
// rule, which passes the same profile check as a synchronous one.
#pragma once

#include "dataplane/soft/rule_error.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_flow.h>

namespace berth::soft {

inline constexpr std::size_t kMaxTemplateItems = 16;
inline constexpr std::size_t kMaxTemplateActions = 32;

// What rte_flow_configure() declared; rules of templates draw on it.
struct DeclaredPools {
  std::uint32_t counters = 0;
  std::uint32_t aging = 0;
  std::uint32_t meters = 0;
};

class PatternTemplate {
 public:
  static RuleResult<PatternTemplate> from(const rte_flow_pattern_template_attr& attr,
                                          const rte_flow_item pattern[]);

  // The rule's items; `out` ends with END. Specs point into `pattern`, masks into this template.
  RuleResult<void> merge(const rte_flow_item pattern[],
                         std::span<rte_flow_item, kMaxTemplateItems + 1> out) const;

  std::uint32_t users = 0;  // tables

 private:
  std::vector<std::uint64_t> storage_;  // deep copy made by rte_flow_conv
  const rte_flow_item* items_ = nullptr;
};

class ActionsTemplate {
 public:
  static RuleResult<ActionsTemplate> from(const rte_flow_actions_template_attr& attr,
                                          const rte_flow_action actions[], const rte_flow_action masks[],
                                          const DeclaredPools& pools);

  struct Merged {
    std::array<rte_flow_action, kMaxTemplateActions + 1> actions;
    // MODIFY_FIELD takes its target from the template and its value from the rule.
    std::array<rte_flow_action_modify_field, kMaxTemplateActions> modifies;
  };
  RuleResult<void> merge(const rte_flow_action actions[], Merged& out) const;

  std::uint32_t users = 0;

 private:
  std::vector<std::uint64_t> storage_;
  const rte_flow_action* actions_ = nullptr;
  std::vector<bool> is_fixed_;  // the template's configuration holds for every rule
};

}  // namespace berth::soft
