#include "dataplane/compile.h"

#include "dataplane/pipeline.h"

#include <set>

namespace berth::dataplane {
namespace {

Rule make_rule(Purpose purpose, EswitchPort owner, RuleKey key, Actions actions) {
  return Rule{.key = std::move(key), .actions = std::move(actions), .purpose = purpose, .owner = owner};
}

Actions jump(std::uint16_t to) {
  return {.fate = JumpTo{to}};
}
Actions counted_jump(std::uint16_t to) {
  return {.count = true, .fate = JumpTo{to}};
}
Actions counted_drop() {
  return {.count = true, .fate = Drop{}};
}

Rule entry_rule(EswitchPort port) {
  return make_rule(Purpose::kPortEntry, port, {group::kEntry, priority::kExact, {.source = port}},
                   jump(group::kAdmit));
}

// One direction of a VPC's policy as seen by one VM: `match` already names source and tag.
void append_policy(std::vector<Rule>& rules, const Vpc& vpc, Direction direction, EswitchPort owner,
                   std::uint16_t in_group, const Match& match) {
  const bool ingress = direction == Direction::kIngress;
  const auto next = static_cast<std::uint16_t>(in_group + 1);
  std::set<RuleKey> seen;  // ranges of two rules may share a mask: the first one stands for both
  for (const PolicyRule& policy : vpc.policy) {
    if (policy.direction != direction) continue;
    const bool allow = policy.verdict == Verdict::kAllow;
    const auto masks = policy.ports ? expand_port_range(*policy.ports) : std::vector{PortMask{0, 0}};
    for (const PortMask& mask : masks) {
      RuleKey key{in_group, priority::kPolicyFirst + 2U * policy.priority + (allow ? 1U : 0U), match};
      // A rule for everything says "any IPv4": a match of the bare port belongs to the table's default
      // (HP-04).
      (ingress ? key.match.ip_src : key.match.ip_dst) = policy.remote.value_or(IpPrefix());
      key.match.ip_protocol = policy.protocol;
      if (mask.mask != 0) key.match.l4_dst = mask;
      if (!seen.insert(key).second) continue;
      const Purpose purpose = ingress ? (allow ? Purpose::kIngressPolicy : Purpose::kIngressPolicyDrop)
                                      : (allow ? Purpose::kEgressPolicy : Purpose::kEgressPolicyDrop);
      rules.push_back(make_rule(purpose, owner, std::move(key), allow ? counted_jump(next) : counted_drop()));
    }
  }
  rules.push_back(make_rule(ingress ? Purpose::kIngressPolicy : Purpose::kEgressPolicy, owner,
                            {in_group, priority::kTableDefault, match}, jump(next)));
}

void append_admit(std::vector<Rule>& rules, const LocalEndpoint& self) {
  const Match own{.source = self.port, .eth_src = self.mac, .untagged = true};
  Match own_ip = own;
  own_ip.ip_src = IpPrefix::host(self.ip);
  Match own_arp = own;
  own_arp.ether_type = kEtherTypeArp;
  rules.push_back(make_rule(Purpose::kAdmit, self.port, {group::kAdmit, priority::kExact, own_ip},
                            counted_jump(group::kEgressPolicy)));
  rules.push_back(make_rule(Purpose::kAdmitArp, self.port, {group::kAdmit, priority::kArp, own_arp},
                            counted_jump(group::kAgent)));
}

void append_mappings(std::vector<Rule>& rules, const Vpc& vpc, const LocalEndpoint& self,
                     const Underlay& underlay) {
  for (const Mapping& mapping : vpc.mappings) {
    const auto next_hop = underlay.next_hops.find(mapping.vtep);
    if (mapping.vtep == underlay.vtep || next_hop == underlay.next_hops.end()) continue;
    Actions actions{.count = true, .set_eth_dst = mapping.mac, .fate = Deliver{EswitchPort::uplink()}};
    actions.encap = VxlanEncap{.eth_src = underlay.mac,
                               .eth_dst = next_hop->second,
                               .ip_src = underlay.vtep,
                               .ip_dst = mapping.vtep,
                               .vni = vpc.vni};
    const Match match{.source = self.port, .ip_dst = IpPrefix::host(mapping.ip)};
    rules.push_back(make_rule(Purpose::kMapping, self.port, {group::kMapping, priority::kExact, match},
                              std::move(actions)));
  }
  rules.push_back(make_rule(Purpose::kUnroutableDrop, self.port,
                            {group::kMapping, priority::kTableDefault, {.source = self.port}},
                            counted_drop()));
}

// What every packet to `self` passes once it is known to be for it, whatever port it came from.
void append_last_tables(std::vector<Rule>& rules, const Vpc& vpc, const LocalEndpoint& self,
                        EswitchPort source) {
  const Match match{.source = source, .tag = self.port.number()};
  append_policy(rules, vpc, Direction::kIngress, self.port, group::kIngressPolicy, match);
  rules.push_back(make_rule(Purpose::kDeliver, self.port, {group::kDeliver, priority::kExact, match},
                            {.count = true, .fate = Deliver{self.port}}));
}

}  // namespace

std::vector<Rule> compile_host(const Underlay& underlay) {
  const auto wire = EswitchPort::uplink();
  const Match any_vxlan{.source = wire,
                        .ip_dst = IpPrefix::host(underlay.vtep),
                        .ip_protocol = kProtocolUdp,
                        .l4_dst = PortMask{kVxlanUdpPort, 0xFFFF}};
  return {entry_rule(wire),
          make_rule(Purpose::kUnknownVniDrop, wire, {group::kTerminate, priority::kTableDefault, any_vxlan},
                    counted_drop())};
}

std::vector<Rule> compile_vpc(const Vpc& vpc, const Underlay& underlay) {
  const auto wire = EswitchPort::uplink();
  const Match from_tunnel{.source = wire,
                          .ip_dst = IpPrefix::host(underlay.vtep),
                          .ip_protocol = kProtocolUdp,
                          .l4_dst = PortMask{kVxlanUdpPort, 0xFFFF},
                          .vni = vpc.vni};
  const Actions terminate{
      .decap = true, .count = true, .set_tag = vpc.vni.value(), .fate = JumpTo{group::kInnerMac}};
  const Match of_vpc{.source = wire, .tag = vpc.vni.value()};
  return {make_rule(Purpose::kTerminate, wire, {group::kTerminate, priority::kExact, from_tunnel}, terminate),
          make_rule(Purpose::kUnknownMacDrop, wire, {group::kInnerMac, priority::kTableDefault, of_vpc},
                    counted_drop())};
}

std::vector<Rule> compile_closed(EswitchPort port) {
  return {make_rule(Purpose::kSpoofDrop, port, {group::kAdmit, priority::kTableDefault, {.source = port}},
                    counted_drop()),
          entry_rule(port)};
}

std::vector<Rule> compile_port(const Vpc& vpc, const LocalEndpoint& self, const Underlay& underlay) {
  std::vector<Rule> rules;
  append_mappings(rules, vpc, self, underlay);
  append_policy(rules, vpc, Direction::kEgress, self.port, group::kEgressPolicy, {.source = self.port});
  append_admit(rules, self);
  return rules;
}

std::vector<Rule> compile_delivery(const Vpc& vpc, const LocalEndpoint& self,
                                   std::span<const LocalEndpoint> neighbours) {
  std::vector<Rule> rules;
  const auto wire = EswitchPort::uplink();
  append_last_tables(rules, vpc, self, wire);
  const Match inner{.source = wire, .tag = vpc.vni.value(), .eth_dst = self.mac};
  rules.push_back(
      make_rule(Purpose::kInnerMac, self.port, {group::kInnerMac, priority::kExact, inner},
                {.count = true, .set_tag = self.port.number(), .fate = JumpTo{group::kIngressPolicy}}));
  for (const LocalEndpoint& neighbour : neighbours) {
    append_last_tables(rules, vpc, self, neighbour.port);
    const Match to_self{.source = neighbour.port, .ip_dst = IpPrefix::host(self.ip)};
    rules.push_back(make_rule(Purpose::kLocalMapping, self.port, {group::kMapping, priority::kExact, to_self},
                              {.count = true,
                               .set_tag = self.port.number(),
                               .set_eth_dst = self.mac,
                               .fate = JumpTo{group::kIngressPolicy}}));
  }
  return rules;
}

std::vector<PortMask> expand_port_range(PortRange range) {
  std::vector<PortMask> masks;
  std::uint32_t first = range.first;
  const std::uint32_t end = range.last + 1U;
  while (first < end) {
    // The largest aligned block that starts at `first` and ends within the range.
    std::uint32_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= end) size *= 2;
    masks.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(0x10000U - size)});
    first += size;
  }
  return masks;
}

}  // namespace berth::dataplane
