#include "agent/port_counters.h"

namespace berth::agent {

PortCounters sum_up(const std::vector<dataplane::HeldRule>& rules) {
  PortCounters counters;
  for (const dataplane::HeldRule& held : rules) {
    switch (held.rule.purpose) {
      case dataplane::Purpose::kAdmit:
        counters.from_vm_packets += held.packets;
        counters.from_vm_bytes += held.bytes;
        break;
      case dataplane::Purpose::kDeliver:
        counters.to_vm_packets += held.packets;
        counters.to_vm_bytes += held.bytes;
        break;
      case dataplane::Purpose::kSpoofDrop:
        counters.spoof_dropped_packets += held.packets;
        break;
      case dataplane::Purpose::kEgressPolicyDrop:
      case dataplane::Purpose::kIngressPolicyDrop:
        counters.policy_dropped_packets += held.packets;
        break;
      case dataplane::Purpose::kUnroutableDrop:
        counters.unroutable_dropped_packets += held.packets;
        break;
      case dataplane::Purpose::kRogueDrop:
        counters.rogue_dropped_packets += held.packets;
        break;
      case dataplane::Purpose::kToAgent:
        counters.to_host_packets += held.packets;
        break;
      default:
        break;
    }
  }
  return counters;
}

}  // namespace berth::agent
