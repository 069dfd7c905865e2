// The tables that all VMs of a host, or of a VPC, share.
#include "dataplane/compile.h"

#include "dataplane/compile_parts.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>

namespace berth::dataplane {
namespace {

// Packets from the wire that the tunnel's far end sent to this host.
Match tunnelled(const Underlay& underlay) {
  Match match{.source = EswitchPort::uplink(),
              .ip = underlay.vtep.family(),
              .ip_protocol = kProtocolUdp,
              .l4_dst = PortMask{kVxlanUdpPort, 0xFFFF}};
  // An IPv6 address and the VNI exceed the match budget: the table before has seen the address (HP-16).
  if (underlay.vtep.is_v4()) match.ip_dst = IpPrefix::host(underlay.vtep);
  return match;
}
std::uint16_t terminate_group(const Underlay& underlay) {
  return underlay.vtep.is_v4() ? group::kTerminate : group::kTerminateIpv6;
}

void append_terminate(std::vector<Rule>& rules, const Vpc& vpc, const Underlay& underlay) {
  const auto wire = EswitchPort::uplink();
  Match match = tunnelled(underlay);
  match.vni = vpc.vni;
  rules.push_back(make_rule(
      Purpose::kTerminate, wire, {terminate_group(underlay), priority::kExact, match},
      {.decap = true, .count = true, .set_tag = vpc.vni.value(), .fate = JumpTo{group::kInnerMac}}));
  const Match of_vpc{.source = wire, .tag = vpc.vni.value()};
  rules.push_back(make_rule(Purpose::kUnknownMacDrop, wire,
                            {group::kInnerMac, priority::kTableDefault, of_vpc}, counted_drop()));
}

// Everything of `vpc` to one prefix beyond this host.
struct Remote {
  IpPrefix prefix;
  MacAddress mac;
  IpAddress vtep;
  Vni vni;
};

void append_remote(std::vector<Rule>& rules, const Vpc& vpc, const Underlay& underlay, const Remote& remote) {
  const auto next_hop = underlay.next_hops.find(remote.vtep);
  if (remote.vtep == underlay.vtep || next_hop == underlay.next_hops.end()) return;
  const bool is_host = remote.prefix == IpPrefix::host(remote.prefix.address());
  const std::uint32_t priority =
      is_host ? priority::kExact : priority::kLongestPrefix + 128U - remote.prefix.length();
  const Match match{.tag = vpc.vni.value(), .ip = remote.prefix.family(), .ip_dst = remote.prefix};
  rules.push_back(make_rule(Purpose::kMapping, EswitchPort::uplink(), {group::kMapping, priority, match},
                            {.count = true,
                             .set_eth_dst = remote.mac,
                             .encap = VxlanEncap{.eth_src = underlay.mac,
                                                 .eth_dst = next_hop->second,
                                                 .ip_src = underlay.vtep,
                                                 .ip_dst = remote.vtep,
                                                 .vni = remote.vni},
                             .fate = Deliver{EswitchPort::uplink()}}));
}

}  // namespace

std::vector<Rule> compile_host(const Underlay& underlay) {
  const auto wire = EswitchPort::uplink();
  std::vector<Rule> rules = {make_rule(Purpose::kPortEntry, wire,
                                       {group::kEntry, priority::kExact, {.source = wire}},
                                       jump(group::kTerminate))};
  if (!underlay.vtep.is_v4()) {
    const Match to_us{.source = wire, .ip = underlay.vtep.family(), .ip_dst = IpPrefix::host(underlay.vtep)};
    rules.push_back(make_rule(Purpose::kTerminateIpv6, wire, {group::kTerminate, priority::kExact, to_us},
                              jump(group::kTerminateIpv6)));
  }
  rules.push_back(make_rule(Purpose::kUnknownVniDrop, wire,
                            {terminate_group(underlay), priority::kTableDefault, tunnelled(underlay)},
                            counted_drop()));
  return rules;
}

std::vector<Rule> compile_vpc(const Vpc& vpc, const Peers& peers, const Underlay& underlay) {
  std::vector<Rule> rules;
  append_terminate(rules, vpc, underlay);
  append_policy(rules, vpc, PolicySet());
  for (const Mapping& mapping : vpc.mappings) {
    append_remote(rules, vpc, underlay, {IpPrefix::host(mapping.ip), mapping.mac, mapping.vtep, vpc.vni});
  }
  for (const Route& route : vpc.routes) {
    append_remote(rules, vpc, underlay, {route.prefix, route.mac, route.vtep, route.vni});
  }
  for (const auto& peer : peers) {
    const auto prefixes = peered_prefixes(vpc, *peer);
    for (const Mapping& mapping : peer->mappings) {
      const auto holds = [&](const IpPrefix& prefix) { return prefix.contains(mapping.ip); };
      if (std::ranges::none_of(prefixes, holds)) continue;
      append_remote(rules, vpc, underlay, {IpPrefix::host(mapping.ip), mapping.mac, mapping.vtep, peer->vni});
    }
  }
  return rules;
}

}  // namespace berth::dataplane
