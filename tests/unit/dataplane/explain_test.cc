// The pipeline as a whole: which packets get where, by following the rules that are compiled.
#include "dataplane/explain/explain.h"

#include "dataplane/wire_numbers.h"
#include "tests/fakes/whole_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using namespace berth::testing;
using ::testing::HasSubstr;

std::vector<HeldRule> held(const std::vector<Rule>& rules) {
  std::vector<HeldRule> all;
  for (const Rule& rule : rules) all.push_back({.rule = rule});
  return all;
}

PacketDefaults defaults_of(const LocalEndpoint& self) {
  PacketDefaults defaults{.eth_src = self.mac, .eth_dst = mac("02:be:27:48:00:01")};
  for (const IpAddress& address : self.ips)
    (address.is_v4() ? defaults.ipv4_src : defaults.ipv6_src) = address;
  return defaults;
}

// How the way of a packet ends, in the words that berthctl prints.
std::string from(const LocalEndpoint& self, std::string_view packet, const std::vector<Rule>& rules) {
  const auto held_rules = held(rules);
  const auto headers = parse_packet_text(packet, defaults_of(self));
  if (!headers) return headers.error().message;
  const auto explanation = explain(held_rules, self.port, *headers);
  std::string end = say_end(explanation);
  if (explanation.end == Explanation::End::kDelivered && explanation.port.is_uplink())
    end += ": " + format_packet(explanation.steps.back().packet);
  return end;
}

std::string from_wire(std::string_view packet, const std::vector<Rule>& rules) {
  const auto held_rules = held(rules);
  const auto headers = parse_packet_text(packet, {});
  return headers ? say_end(explain(held_rules, EswitchPort::uplink(), *headers)) : headers.error().message;
}

class ExplainTest : public ::testing::Test {
 protected:
  std::string web(std::string_view packet) const { return from(kWeb, packet, rules); }
  std::string wire(std::string_view packet) const { return from_wire(packet, rules); }
  std::vector<Rule> rules = whole_host(make_vpc("blue", 7001));
};

TEST_F(ExplainTest, ANeighbourIsReachedOnTheHostAndInATunnel) {
  EXPECT_EQ(web("ipv4 > 10.1.0.6 / tcp 40000 > 443"), "delivered to vf1");
  EXPECT_EQ(
      web("ipv4 > 10.1.0.200 / udp 1 > 2"),
      "delivered to uplink: eth 02:00:00:00:ff:01 > 02:00:00:00:ff:02 / ipv4 192.0.2.1 > 192.0.2.2 / udp 0 > "
      "4789 / vxlan 7001 / eth 02:00:00:00:01:05 > 02:00:00:00:01:c8 / ipv4 10.1.0.5 > 10.1.0.200 / udp 1 > "
      "2");
  EXPECT_THAT(web("ipv4 > 10.1.0.99 / udp 1 > 2"), HasSubstr("unroutable-drop"));
}

TEST_F(ExplainTest, WhatIsNotTheVmsOwnIsDropped) {
  EXPECT_THAT(web("ipv4 10.1.0.6 > 10.1.0.200 / udp 1 > 2"), HasSubstr("spoof-drop"));
  EXPECT_THAT(web("eth 02:00:00:00:01:06 / ipv4 > 10.1.0.200 / udp 1 > 2"), HasSubstr("spoof-drop"));
  EXPECT_THAT(web("eth 02:00:00:00:01:05 > 02:00:00:00:01:c8 vlan / ipv4 > 10.1.0.200 / udp 1 > 2"),
              HasSubstr("spoof-drop"));
  EXPECT_THAT(web("ipv6 2001:db8:1::6 > 2001:db8:1::c8 / udp 1 > 2"), HasSubstr("spoof-drop"));
  EXPECT_THAT(web("ipv6 fe80::5 > ff02::16 / icmp6 143"), HasSubstr("link-local-drop"));
}

TEST_F(ExplainTest, WhatOnlyRoutersAndServersSendIsDropped) {
  for (const auto* packet : {"ipv6 fe80::5 > ff02::1 / icmp6 134", "ipv6 > 2001:db8:1::6 / icmp6 137",
                             "ipv4 > 255.255.255.255 / udp 67 > 68", "ipv6 > ff02::1:2 / udp 547 > 546"}) {
    EXPECT_THAT(web(packet), HasSubstr("rogue-drop")) << packet;
  }
}

TEST_F(ExplainTest, WhatAVmAsksOfItsLinkGoesToTheHost) {
  for (const auto* packet :
       {"arp", "ipv6 :: > ff02::1:ff00:5 / icmp6 135", "ipv6 fe80::5 > ff02::2 / icmp6 133",
        "ipv6 > 2001:db8:1::1 / icmp6 136", "ipv4 0.0.0.0 > 255.255.255.255 / udp 68 > 67",
        "ipv6 fe80::5 > ff02::1:2 / udp 546 > 547", "ipv4 > 10.1.0.1 / icmp",
        "ipv6 > 2001:db8:1::1 / icmp6"}) {
    EXPECT_EQ(web(packet), "answered, or not, by the host's slow path") << packet;
  }
}

TEST_F(ExplainTest, TheWireIsTakenApartByVniAndMac) {
  const std::string tunnel = "ipv4 192.0.2.2 > 192.0.2.1 / udp 9 > 4789 / vxlan ";
  const std::string to_web =
      " / eth 02:00:00:00:01:c8 > 02:00:00:00:01:05 / ipv4 10.1.0.200 > 10.1.0.5 / udp 1 > 2";
  EXPECT_EQ(wire(tunnel + "7001" + to_web), "delivered to vf0");
  EXPECT_THAT(wire(tunnel + "7002" + to_web), HasSubstr("unknown-vni-drop"));
  EXPECT_THAT(wire(tunnel + "7001 / eth 02:00:00:00:01:c8 > 02:00:00:00:01:77 / ipv4 10.1.0.200 > 10.1.0.5"),
              HasSubstr("unknown-mac-drop"));
  EXPECT_THAT(wire("ipv4 192.0.2.2 > 192.0.2.9 / udp 9 > 4789 / vxlan 7001" + to_web),
              HasSubstr("missed in group 6"));
}

TEST_F(ExplainTest, ATenantsOwnVxlanIsNoTunnelOfOurs) {
  EXPECT_THAT(
      web("ipv4 > 192.0.2.1 / udp 9 > 4789 / vxlan 7001 / eth 02:00:00:00:01:c8 > 02:00:00:00:01:06 / "
          "ipv4 10.1.0.200 > 10.1.0.6 / udp 1 > 2"),
      HasSubstr("unroutable-drop"));
}

TEST(Explain, AnIpv6UnderlayCarriesBothFamilies) {
  const auto rules = whole_host(on_ipv6_underlay(make_vpc_with_policy()), kIpv6Underlay);
  EXPECT_EQ(
      from_wire(
          "ipv6 2001:db8:ffff::2 > 2001:db8:ffff::1 / udp 9 > 4789 / vxlan 7001 / eth 02:00:00:00:01:c8 > "
          "02:00:00:00:01:05 / ipv4 10.1.0.200 > 10.1.0.5 / icmp",
          rules),
      "delivered to vf0");
}

TEST(Explain, PolicyDecidesByTheLowestNumber) {
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {
      {Direction::kEgress, 10, Verdict::kDeny, kProtocolTcp, std::nullopt, PortRange{22, 23}},
      {Direction::kEgress, 5, Verdict::kAllow, kProtocolTcp, prefix("10.1.0.200/32"), PortRange{22, 22}},
      {Direction::kIngress, 1, Verdict::kDeny, kProtocolIcmp, std::nullopt, std::nullopt}};
  const auto rules = whole_host(vpc);
  EXPECT_THAT(from(kWeb, "ipv4 > 10.1.0.200 / tcp 1 > 22", rules), HasSubstr("delivered to uplink"));
  EXPECT_THAT(from(kWeb, "ipv4 > 10.1.0.200 / tcp 1 > 23", rules), HasSubstr("egress-policy-drop"));
  EXPECT_THAT(from(kWeb, "ipv4 > 10.1.0.6 / tcp 1 > 22", rules), HasSubstr("egress-policy-drop"));
  EXPECT_EQ(from(kWeb, "ipv4 > 10.1.0.6 / tcp 1 > 24", rules), "delivered to vf1");
  EXPECT_THAT(from(kWeb, "ipv4 > 10.1.0.6 / icmp", rules), HasSubstr("ingress-policy-drop"));
  // A fragment shows no ports: behind the rule that denies some, none passes.
  EXPECT_THAT(from(kWeb, "ipv4 > 10.1.0.6 fragment / proto 6", rules), HasSubstr("egress-policy-drop"));
}

TEST(Explain, WhatNoVmOfTheVpcCanSendDoesNotComeOutOfATunnelEither) {
  Vpc vpc = make_vpc("blue", 7001);
  vpc.subnets.pop_back();  // IPv4 only
  const auto rules = whole_host(vpc);
  const std::string tunnel =
      "ipv4 192.0.2.2 > 192.0.2.1 / udp 9 > 4789 / vxlan 7001 / eth 02:00:00:00:01:c8 > 02:00:00:00:01:06 / ";
  EXPECT_EQ(from_wire(tunnel + "ipv4 10.1.0.200 > 10.1.0.6 / tcp 1 > 22", rules), "delivered to vf1");
  EXPECT_THAT(from_wire(tunnel + "ipv6 2001:db8:1::c8 > 2001:db8:1::6 / tcp 1 > 22", rules),
              HasSubstr("ingress-policy-drop"));
  EXPECT_THAT(from_wire(tunnel + "arp", rules), HasSubstr("ingress-policy-drop"));
}

TEST(Explain, RoutesLeadToTheirGatewayByTheLongestPrefix) {
  Vpc vpc = make_vpc("blue", 7001);
  vpc.routes = {{prefix("0.0.0.0/0"), ip("192.0.2.2"), mac("02:00:00:00:fe:01"), Vni::trusted(9001)},
                {prefix("203.0.113.0/24"), ip("192.0.2.2"), mac("02:00:00:00:fe:02"), Vni::trusted(9002)}};
  const auto rules = whole_host(vpc);
  EXPECT_THAT(from(kWeb, "ipv4 > 198.51.100.1 / udp 1 > 53", rules),
              HasSubstr("vxlan 9001 / eth 02:00:00:00:01:05 > 02:00:00:00:fe:01"));
  EXPECT_THAT(from(kWeb, "ipv4 > 203.0.113.9 / udp 1 > 53", rules),
              HasSubstr("vxlan 9002 / eth 02:00:00:00:01:05 > 02:00:00:00:fe:02"));
  EXPECT_EQ(from(kWeb, "ipv4 > 10.1.0.6 / udp 1 > 53", rules), "delivered to vf1");
}

// What a frame's bytes say is what its text says.
TEST(ParseFrame, ReadsWhatTextDescribes) {
  const std::vector<std::uint8_t> frame = {
      0x02, 0,    0,    0,    1, 6, 0x02, 0, 0,  0,  1, 5, 0x08, 0x00,                     // Ethernet
      0x45, 0,    0,    28,   0, 0, 0,    0, 64, 17, 0, 0, 10,   1,    0, 5, 10, 1, 0, 6,  // IPv4
      0x9C, 0x40, 0x01, 0xBB, 0, 8, 0,    0};                                              // UDP
  const auto headers = parse_frame(frame);
  ASSERT_TRUE(headers);
  EXPECT_EQ(format_packet(*headers),
            "eth 02:00:00:00:01:05 > 02:00:00:00:01:06 / ipv4 10.1.0.5 > 10.1.0.6 / udp 40000 > 443");
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_EQ(parse_frame(std::span(frame).first(size)).has_value(), size >= 14) << size;
  }
}

TEST(PacketText, IsReadBackAsItWasPrinted) {
  for (const std::string text :
       {"eth 02:00:00:00:01:05 > 02:00:00:00:01:06 / arp",
        "eth 02:00:00:00:01:05 > 02:00:00:00:01:06 vlan / ipv6 2001:db8::1 > 2001:db8::2 fragment / proto 17",
        "eth 02:00:00:00:01:05 > 02:00:00:00:01:06 / ipv4 10.1.0.5 > 10.1.0.6 / icmp 0",
        "eth 02:00:00:00:01:05 > 02:00:00:00:01:06 / ipv4 192.0.2.1 > 192.0.2.2 / udp 1 > 4789 / vxlan 7 / "
        "eth "
        "02:00:00:00:01:05 > 02:00:00:00:01:06 / ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 2"}) {
    const auto packet = parse_packet_text(text, {});
    ASSERT_TRUE(packet) << text;
    EXPECT_EQ(format_packet(*packet), text);
  }
}

TEST(PacketText, SaysWhatItDoesNotUnderstand) {
  for (const std::string text :
       {"", "ipv4", "ipv4 > 10.1.0", "udp 1 > 2", "ipv4 > 10.1.0.6 / udp 1",
        "ipv4 > 10.1.0.6 / udp 1 > 70000", "ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 2 / vxlan 7",
        "ipv4 10.1.0.5 > 2001:db8::1", "eth 02:00 > 1", "gre"}) {
    const auto packet = parse_packet_text(text, {});
    ASSERT_FALSE(packet) << text;
    EXPECT_EQ(packet.error().reason, "MALFORMED_PACKET");
  }
}

}  // namespace
}  // namespace berth::dataplane
