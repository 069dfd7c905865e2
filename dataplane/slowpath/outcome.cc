#include "dataplane/slowpath/outcome.h"

namespace berth::dataplane::slowpath {

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kArp:
      return "arp";
    case Outcome::kNeighbour:
      return "neighbour";
    case Outcome::kRouter:
      return "router";
    case Outcome::kDhcpv4:
      return "dhcpv4";
    case Outcome::kDhcpv4Refused:
      return "dhcpv4-refused";
    case Outcome::kDhcpv6:
      return "dhcpv6";
    case Outcome::kEcho:
      return "echo";
    case Outcome::kPacketTooBig:
      return "packet-too-big";
    case Outcome::kOwnAddress:
      return "own-address";
    case Outcome::kDhcpRelease:
      return "dhcp-release";
    case Outcome::kDhcpDecline:
      return "dhcp-decline";
    case Outcome::kOtherServer:
      return "other-server";
    case Outcome::kNotForUs:
      return "not-for-us";
    case Outcome::kNoAnswers:
      return "no-answers";
    case Outcome::kRateLimited:
      return "rate-limited";
    case Outcome::kVlanTagged:
      return "vlan-tagged";
    case Outcome::kMalformed:
      return "malformed";
    case Outcome::kUnsupported:
      return "unsupported";
    case Outcome::kSpoofed:
      return "spoofed";
    case Outcome::kTooLong:
      return "too-long";
  }
  return "unknown";
}

bool is_answered(Outcome outcome) {
  return outcome <= Outcome::kPacketTooBig;
}

}  // namespace berth::dataplane::slowpath
