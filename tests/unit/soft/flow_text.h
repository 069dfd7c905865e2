// Test-only: a rule written as in dpdk-testpmd, turned into the structs that rte_flow takes.
//
//   transfer group 1 priority 2 pattern represented_port ethdev_port_id is 1 / eth src is 02:..:01 / end
//   actions count / vxlan_encap { eth dst 02:..:09 / ipv4 src 10.0.0.1 dst 10.0.0.2 / udp / vxlan vni 7 } /
//   represented_port ethdev_port_id 0 / end
//
// "is V" sets the spec and a full mask; "spec V", "mask V", "last V" and "prefix N" set one of them. The
// encapsulation is written in place, in braces. A word it does not know is an exception: the test is wrong.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <rte_flow.h>

namespace berth::soft::test {

// LIFETIME: the items and actions point into `storage`.
struct FlowText {
  rte_flow_attr attr{};
  std::vector<rte_flow_item> pattern;
  std::vector<rte_flow_action> actions;
  std::deque<std::vector<std::uint64_t>> storage;
};

FlowText parse_flow(const std::string& text);

}  // namespace berth::soft::test
