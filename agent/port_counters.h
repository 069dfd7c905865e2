// What an interface's rules have counted.
#pragma once

#include "dataplane/eswitch.h"

#include <cstdint>
#include <vector>

namespace berth::agent {

// Of the rules that the eSwitch holds for the port now: a rule that goes (a neighbour on this host
// left) takes its count along, one that is replaced goes on.
struct PortCounters {
  std::uint64_t from_vm_packets = 0;
  std::uint64_t from_vm_bytes = 0;
  std::uint64_t to_vm_packets = 0;
  std::uint64_t to_vm_bytes = 0;
  std::uint64_t spoof_dropped_packets = 0;
  std::uint64_t policy_dropped_packets = 0;
  std::uint64_t unroutable_dropped_packets = 0;
  std::uint64_t rogue_dropped_packets = 0;
  std::uint64_t to_host_packets = 0;
};

// `rules`: those of one port.
PortCounters sum_up(const std::vector<dataplane::HeldRule>& rules);

}  // namespace berth::agent
