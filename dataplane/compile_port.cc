// The rules of one VM: what it may send, and what leads to it.
#include "dataplane/compile_parts.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>

namespace berth::dataplane {
namespace {

constexpr std::uint64_t kToAgentPacketsPerSecond = 200;
constexpr std::uint64_t kToAgentBurstPackets = 200;
// Long enough for a TCP sender's bursts at the rate, and never less than some full packets.
constexpr std::uint64_t kBurstsPerSecond = 50;
constexpr std::uint64_t kMinBurstBytes = 128 * 1024;

constexpr std::uint8_t kRouterSolicitation = 133;  // RFC 4861
constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::uint8_t kRedirect = 137;
constexpr std::uint16_t kDhcpServer = 67;  // RFC 2131
constexpr std::uint16_t kDhcpClient = 68;
constexpr std::uint16_t kDhcpv6Client = 546;  // RFC 8415
constexpr std::uint16_t kDhcpv6Server = 547;

std::optional<Meter> rate_limit(EswitchPort port, Meter::Use use, std::uint64_t bits_per_second) {
  if (bits_per_second == 0) return std::nullopt;
  const std::uint64_t bytes = std::max<std::uint64_t>(bits_per_second / 8, 1);
  return Meter{.port = port,
               .use = use,
               .per_second = bytes,
               .burst = std::max(bytes / kBurstsPerSecond, kMinBurstBytes)};
}

// The tables that a packet of the VM passes before the VPC's own.
class AdmitCompiler {
 public:
  AdmitCompiler(const Vpc& vpc, const LocalEndpoint& self) : vpc_(vpc), self_(self) {}

  std::vector<Rule> compile() {
    append_to_agent(Match{.ether_type = kEtherTypeArp});
    for (const IpAddress& ip : self_.ips) ip.is_v4() ? append_ipv4(ip) : append_ipv6(ip);
    add(Purpose::kEgressPolicyDrop, {group::kEgressDenied, priority::kExact, {.source = self_.port}},
        counted_drop());
    add(Purpose::kUnroutableDrop,
        {group::kMapping, priority::kTableDefault, {.source = self_.port, .tag = vpc_.vni.value()}},
        counted_drop());
    return std::move(rules_);
  }

 private:
  void append_ipv4(const IpAddress& ip) {
    append_to_agent(udp(IpFamily::kV4, kDhcpClient, kDhcpServer));
    append_rogue(udp(IpFamily::kV4, kDhcpServer, kDhcpClient));
    if (const auto subnet = find_subnet(vpc_, ip)) {
      append_to_agent(
          {.ip = IpFamily::kV4, .ip_dst = IpPrefix::host(subnet->gateway), .ip_protocol = kProtocolIcmp});
    }
    add(Purpose::kAdmit,
        {group::kAdmit, priority::kAdmit, own({.ip = IpFamily::kV4, .ip_src = IpPrefix::host(ip)})},
        let_in());
  }

  void append_ipv6(const IpAddress& ip) {
    for (const auto type : {kRouterSolicitation, kNeighbourSolicitation, kNeighbourAdvertisement}) {
      append_to_agent(icmpv6(type));
    }
    for (const auto type : {kRouterAdvertisement, kRedirect}) append_rogue(icmpv6(type));
    append_to_agent(udp(IpFamily::kV6, kDhcpv6Client, kDhcpv6Server));
    append_rogue(udp(IpFamily::kV6, kDhcpv6Server, kDhcpv6Client));
    add(Purpose::kAdmitIpv6, {group::kAdmit, priority::kAdmitAnyIpv6, own({.ip = IpFamily::kV6})},
        jump(group::kAdmitIpv6));

    const Match from{.source = self_.port, .ip = IpFamily::kV6};
    if (const auto subnet = find_subnet(vpc_, ip)) {
      Match ping = from;
      ping.ip_dst = IpPrefix::host(subnet->gateway);
      ping.ip_protocol = kProtocolIcmpv6;
      add(Purpose::kToAgent, {group::kAdmitIpv6, priority::kExact, ping}, to_agent());
    }
    Match own_ip = from;
    own_ip.ip_src = IpPrefix::host(ip);
    add(Purpose::kAdmit, {group::kAdmitIpv6, priority::kAdmit, own_ip}, let_in());
    Match link_local = from;
    link_local.ip_src = kLinkLocal;
    add(Purpose::kLinkLocalDrop, {group::kAdmitIpv6, priority::kAdmit, link_local}, counted_drop());
    add(Purpose::kSpoofDrop, {group::kAdmitIpv6, priority::kTableDefault, {.source = self_.port}},
        counted_drop());
  }

  Match own(Match match) const {
    match.source = self_.port;
    match.eth_src = self_.mac;
    match.untagged = true;
    return match;
  }
  static Match udp(IpFamily family, std::uint16_t from, std::uint16_t to) {
    return {.ip = family,
            .ip_protocol = kProtocolUdp,
            .l4_src = PortMask{from, 0xFFFF},
            .l4_dst = PortMask{to, 0xFFFF}};
  }
  static Match icmpv6(std::uint8_t type) {
    return {.ip = IpFamily::kV6, .ip_protocol = kProtocolIcmpv6, .icmpv6_type = type};
  }

  Actions let_in() const {
    return {.count = true,
            .meter = rate_limit(self_.port, Meter::Use::kFromVm, self_.rates.from_vm),
            .set_tag = vpc_.vni.value(),
            .set_policy_tag = policy_tag(vpc_, self_.policy),
            .fate = JumpTo{group::kEgressPolicy}};
  }
  Actions to_agent() const {
    return {.count = true,
            .meter = Meter{.port = self_.port,
                           .use = Meter::Use::kToAgent,
                           .in_packets = true,
                           .per_second = kToAgentPacketsPerSecond,
                           .burst = kToAgentBurstPackets},
            .fate = JumpTo{group::kAgent}};
  }

  void append_to_agent(Match match) {
    add(Purpose::kToAgent, {group::kAdmit, priority::kExact, own(std::move(match))}, to_agent());
  }
  void append_rogue(Match match) {
    add(Purpose::kRogueDrop, {group::kAdmit, priority::kExact, own(std::move(match))}, counted_drop());
  }
  void add(Purpose purpose, RuleKey key, Actions actions) {
    rules_.push_back(make_rule(purpose, self_.port, std::move(key), std::move(actions)));
  }

  static inline const IpPrefix kLinkLocal = IpPrefix::parse("", "fe80::/10").value();

  const Vpc& vpc_;
  const LocalEndpoint& self_;
  std::vector<Rule> rules_;
};

}  // namespace

std::vector<Rule> compile_closed(EswitchPort port) {
  return {make_rule(Purpose::kSpoofDrop, port, {group::kAdmit, priority::kTableDefault, {.source = port}},
                    counted_drop()),
          make_rule(Purpose::kPortEntry, port, {group::kEntry, priority::kExact, {.source = port}},
                    jump(group::kAdmit))};
}

std::vector<Rule> compile_port(const Vpc& vpc, const LocalEndpoint& self) {
  return AdmitCompiler(vpc, self).compile();
}

std::vector<Rule> compile_delivery(const Vpc& vpc, const Peers& peers, const LocalEndpoint& self) {
  std::vector<Rule> rules;
  const auto add = [&](Purpose purpose, RuleKey key, Actions actions) {
    rules.push_back(make_rule(purpose, self.port, std::move(key), std::move(actions)));
  };
  const Match reached{.tag = self.port.number()};
  add(Purpose::kDeliver, {group::kDeliver, priority::kExact, reached},
      {.count = true, .fate = Deliver{self.port}});
  add(Purpose::kIngressPolicyDrop, {group::kIngressDenied, priority::kExact, reached}, counted_drop());

  const Actions found{.count = true,
                      .meter = rate_limit(self.port, Meter::Use::kToVm, self.rates.to_vm),
                      .set_tag = self.port.number(),
                      .set_policy_tag = policy_tag(vpc, self.policy),
                      .fate = JumpTo{group::kIngressPolicy}};
  const Match from_wire{.source = EswitchPort::uplink(), .tag = vpc.vni.value(), .eth_dst = self.mac};
  add(Purpose::kInnerMac, {group::kInnerMac, priority::kExact, from_wire}, found);

  Actions routed = found;
  routed.set_eth_dst = self.mac;
  const auto add_local = [&](Vni sender, const IpAddress& ip) {
    const Match match{.tag = sender.value(), .ip = ip.family(), .ip_dst = IpPrefix::host(ip)};
    add(Purpose::kLocalMapping, {group::kMapping, priority::kExact, match}, routed);
  };
  for (const IpAddress& ip : self.ips) {
    add_local(vpc.vni, ip);
    for (const auto& peer : peers) {
      const auto prefixes = peered_prefixes(*peer, vpc);
      if (std::ranges::any_of(prefixes, [&](const IpPrefix& prefix) { return prefix.contains(ip); })) {
        add_local(peer->vni, ip);
      }
    }
  }
  return rules;
}

}  // namespace berth::dataplane
