#include "dataplane/rule.h"

namespace berth::dataplane {

std::string_view purpose_name(Purpose purpose) {
  switch (purpose) {
    case Purpose::kPortEntry:
      return "entry";
    case Purpose::kAdmit:
      return "admit";
    case Purpose::kAdmitIpv6:
      return "admit-ipv6";
    case Purpose::kToAgent:
      return "to-agent";
    case Purpose::kRogueDrop:
      return "rogue-drop";
    case Purpose::kLinkLocalDrop:
      return "link-local-drop";
    case Purpose::kSpoofDrop:
      return "spoof-drop";
    case Purpose::kEgressPolicy:
      return "egress-policy";
    case Purpose::kEgressDeny:
      return "egress-deny";
    case Purpose::kEgressPolicyDrop:
      return "egress-policy-drop";
    case Purpose::kMapping:
      return "mapping";
    case Purpose::kLocalMapping:
      return "local-mapping";
    case Purpose::kUnroutableDrop:
      return "unroutable-drop";
    case Purpose::kTerminate:
      return "terminate";
    case Purpose::kTerminateIpv6:
      return "terminate-ipv6";
    case Purpose::kUnknownVniDrop:
      return "unknown-vni-drop";
    case Purpose::kInnerMac:
      return "inner-mac";
    case Purpose::kUnknownMacDrop:
      return "unknown-mac-drop";
    case Purpose::kIngressPolicy:
      return "ingress-policy";
    case Purpose::kIngressDeny:
      return "ingress-deny";
    case Purpose::kIngressPolicyDrop:
      return "ingress-policy-drop";
    case Purpose::kDeliver:
      return "deliver";
  }
  return "unknown";
}

}  // namespace berth::dataplane
