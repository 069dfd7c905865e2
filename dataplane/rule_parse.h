// Reads what rule_text.h prints: rules in testpmd syntax, line by line.
#pragma once

#include "base/error.h"
#include "dataplane/rule.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace berth::dataplane {

// Port of a DPDK ethdev port id; nothing when it is not of the eSwitch.
using PortLookup = std::function<std::optional<EswitchPort>(std::uint16_t)>;
// The inverse of berth_numbering.
std::optional<EswitchPort> berth_lookup(std::uint16_t number);

// `flow create` lines, each with the `set vxlan` and meter lines before it that it needs; comments (#) and
// empty lines are skipped. Only the forms that format_rule() prints are understood, because only those are in
// the hardware profile. What a rule is for is not in its text: purpose and owner are left at their defaults.
//   INVALID_ARGUMENT (MALFORMED_RULE) names the line and the word that is not understood.
Result<std::vector<Rule>> parse_rules(std::string_view text, const PortLookup& lookup);

}  // namespace berth::dataplane
