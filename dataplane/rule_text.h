// A rule in testpmd syntax: the one text form, used by logs, golden files, berthctl and tests. What it
// prints can be typed into dpdk-testpmd (DPDK 22.11).
#pragma once

#include "dataplane/rule.h"

#include <functional>
#include <string>

namespace berth::dataplane {

// DPDK ethdev port id of a port.
using PortNumbering = std::function<std::uint16_t(EswitchPort)>;

// One or two lines: a rule with VXLAN encapsulation needs a `set vxlan` first. The rule is created on
// the uplink, which is the eSwitch's transfer proxy. A meter that it names has to be there (format_meter).
std::string format_rule(const Rule& rule, const PortNumbering& number_of);

// "group 1 priority 0 pattern ... / end actions ... / end"; with Berth's own port numbers.
std::string format_rule_body(const Rule& rule, const PortNumbering& number_of);

// Three lines, each ended: profile, policy and the meter itself.
std::string format_meter(const Meter& meter, const PortNumbering& number_of);

// The number of a meter in rule texts.
std::uint32_t meter_id(const Meter& meter, const PortNumbering& number_of);

// 0 for the uplink, n+1 for vf n.
std::uint16_t berth_numbering(EswitchPort port);

}  // namespace berth::dataplane
