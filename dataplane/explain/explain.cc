#include "dataplane/explain/explain.h"

#include "dataplane/pipeline.h"
#include "dataplane/wire_numbers.h"

#include <fmt/format.h>

namespace berth::dataplane {
namespace {

struct InFlight {
  EswitchPort source;
  std::uint32_t tag = 0;
  std::uint32_t policy_tag = 0;
  Headers packet;
};

template <typename Wanted, typename Is>
bool agrees(const std::optional<Wanted>& wanted, const Is& is) {
  return !wanted || *wanted == is;
}

bool in_mask(const std::optional<PortMask>& wanted, std::uint16_t port) {
  return !wanted || (port & wanted->mask) == wanted->value;
}

bool matches_ip(const Match& match, const Headers& packet) {
  if (!match.ip) return true;
  if (!packet.ip || packet.ip->src.family() != *match.ip) return false;
  return (!match.ip_src || match.ip_src->contains(packet.ip->src)) &&
         (!match.ip_dst || match.ip_dst->contains(packet.ip->dst)) &&
         !(match.unfragmented && packet.ip->is_fragment) && agrees(match.ip_protocol, packet.ip->protocol);
}

bool matches_l4(const Match& match, const Headers& packet) {
  if (match.l4_src || match.l4_dst) {
    if (!packet.ports) return false;
    if (!in_mask(match.l4_src, packet.ports->src) || !in_mask(match.l4_dst, packet.ports->dst)) return false;
  }
  return agrees(match.icmpv6_type, packet.icmp_type) && agrees(match.vni, packet.vni);
}

bool matches(const Match& match, const InFlight& flight) {
  const Headers& packet = flight.packet;
  return agrees(match.source, flight.source) && agrees(match.tag, flight.tag) &&
         agrees(match.policy_tag, flight.policy_tag) && agrees(match.eth_src, packet.eth_src) &&
         agrees(match.eth_dst, packet.eth_dst) && agrees(match.ether_type, packet.ether_type) &&
         !(match.untagged && packet.has_vlan) && matches_ip(match, packet) && matches_l4(match, packet);
}

const HeldRule* find(std::span<const HeldRule> rules, std::uint16_t group, const InFlight& flight) {
  const HeldRule* best = nullptr;
  for (const HeldRule& held : rules) {
    const RuleKey& key = held.rule.key;
    if (key.group != group || (best != nullptr && best->rule.key.priority <= key.priority)) continue;
    if (matches(key.match, flight)) best = &held;
  }
  return best;
}

Headers in_tunnel(const Headers& packet, const VxlanEncap& encap) {
  Headers outer{.eth_src = encap.eth_src,
                .eth_dst = encap.eth_dst,
                .ether_type = encap.ip_dst.is_v4() ? kEtherTypeIpv4 : kEtherTypeIpv6};
  outer.ip = Headers::Ip{.src = encap.ip_src, .dst = encap.ip_dst, .protocol = kProtocolUdp};
  outer.ports = Headers::Ports{.src = 0, .dst = kVxlanUdpPort};  // the source port is the flow's entropy
  outer.vni = encap.vni;
  outer.inner = std::make_shared<const Headers>(packet);
  return outer;
}

void apply(const Actions& actions, InFlight& flight) {
  if (actions.decap && flight.packet.inner) {
    const Headers inner = *flight.packet.inner;
    flight.packet = inner;
  }
  if (actions.set_tag) flight.tag = *actions.set_tag;
  if (actions.set_policy_tag) flight.policy_tag = *actions.set_policy_tag;
  if (actions.set_eth_dst) flight.packet.eth_dst = *actions.set_eth_dst;
  if (actions.encap) flight.packet = in_tunnel(flight.packet, *actions.encap);
}

std::string_view reason_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::kSpoofDrop:
      return "the VM sends from an address that is not its own, with a VLAN tag, or neither IP nor ARP";
    case Purpose::kRogueDrop:
      return "only routers and DHCP servers send this";
    case Purpose::kLinkLocalDrop:
      return "a link-local packet that nobody beyond the link answers";
    case Purpose::kEgressPolicyDrop:
      return "the VPC's policy denies it on its way out";
    case Purpose::kIngressPolicyDrop:
      return "the VPC's policy denies it on its way in";
    case Purpose::kUnroutableDrop:
      return "the VPC has no mapping and no route for its destination, or its next hop is not known yet";
    case Purpose::kUnknownVniDrop:
      return "no VPC of this host has its VNI";
    case Purpose::kUnknownMacDrop:
      return "no VM of the VPC on this host has its destination MAC";
    default:
      return "";
  }
}

}  // namespace

Explanation explain(std::span<const HeldRule> rules, EswitchPort source, const Headers& packet) {
  Explanation explanation;
  InFlight flight{.source = source, .packet = packet};
  explanation.group = group::kEntry;
  while (true) {
    const HeldRule* held = find(rules, explanation.group, flight);
    if (held == nullptr) return explanation;
    apply(held->rule.actions, flight);
    explanation.steps.push_back({held, flight.packet});
    const auto& fate = held->rule.actions.fate;
    if (const auto* deliver = std::get_if<Deliver>(&fate)) {
      explanation.end = Explanation::End::kDelivered;
      explanation.port = deliver->port;
      return explanation;
    }
    const auto* jump = std::get_if<JumpTo>(&fate);
    if (jump == nullptr || jump->group <= explanation.group) {  // every eSwitch refuses a jump back (HP-03)
      explanation.end = Explanation::End::kDropped;
      return explanation;
    }
    explanation.group = jump->group;
  }
}

std::string say_end(const Explanation& explanation) {
  switch (explanation.end) {
    case Explanation::End::kDelivered:
      return fmt::format("delivered to {}", explanation.port);
    case Explanation::End::kMissed:
      if (explanation.group == group::kAgent) return "answered, or not, by the host's slow path";
      return fmt::format("missed in group {}: the host's slow path has it, nobody else", explanation.group);
    case Explanation::End::kDropped:
      break;
  }
  const Purpose purpose = explanation.steps.back().rule->rule.purpose;
  return fmt::format("dropped by {}: {}", purpose_name(purpose), reason_of(purpose));
}

}  // namespace berth::dataplane
