#include "dataplane/rule.h"

namespace berth::dataplane {

std::string_view purpose_name(Purpose purpose) {
  switch (purpose) {
    case Purpose::kPortEntry:
      return "entry";
    case Purpose::kAdmit:
      return "admit";
    case Purpose::kAdmitArp:
      return "admit-arp";
    case Purpose::kSpoofDrop:
      return "spoof-drop";
    case Purpose::kTerminate:
      return "terminate";
    case Purpose::kUnknownVniDrop:
      return "unknown-vni-drop";
    case Purpose::kInnerMac:
      return "inner-mac";
    case Purpose::kUnknownMacDrop:
      return "unknown-mac-drop";
    case Purpose::kEgressPolicy:
      return "egress-policy";
    case Purpose::kEgressPolicyDrop:
      return "egress-policy-drop";
    case Purpose::kMapping:
      return "mapping";
    case Purpose::kLocalMapping:
      return "local-mapping";
    case Purpose::kUnroutableDrop:
      return "unroutable-drop";
    case Purpose::kIngressPolicy:
      return "ingress-policy";
    case Purpose::kIngressPolicyDrop:
      return "ingress-policy-drop";
    case Purpose::kDeliver:
      return "deliver";
  }
  return "unknown";
}

}  // namespace berth::dataplane
