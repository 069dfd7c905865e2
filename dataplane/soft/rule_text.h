// A rule as text that can be typed into dpdk-testpmd.
//
// A rule with an encapsulation needs two lines there: "set vxlan ..." says what vxlan_encap stands for.
#pragma once

#include "dataplane/soft/port_map.h"
#include "dataplane/soft/rule_book.h"

#include <string>

namespace berth::soft {

// No newline at the end.
std::string format_rule(const RuleView& rule, const PortMap& ports);

std::string format_pattern(const Match& match, const PortMap& ports);
std::string format_actions(const ActionList& actions, const PortMap& ports);

}  // namespace berth::soft
