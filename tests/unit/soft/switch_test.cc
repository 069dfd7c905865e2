// Packets through the switch: a small VPC pipeline as rules, packets in at one port and out at another.
#include "dataplane/soft/parser.h"
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>

namespace berth::soft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kWebMac = "02:00:00:00:00:01";    // VM at vf0, 10.1.0.5
constexpr const char* kDbMac = "02:00:00:00:00:02";     // VM on another host, 10.1.0.6
constexpr const char* kLocalMac = "02:00:00:00:00:03";  // VM at vf1, 10.1.0.7
constexpr const char* kGatewayMac = "02:00:00:00:00:fe";

constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;

std::string set_tag(int index, std::uint32_t value) {
  char text[128];
  std::snprintf(
      text, sizeof(text),
      "modify_field op set dst_type tag dst_level %d src_type value src_value %02x%02x0000 width 32", index,
      value & 0xff, value >> 8 & 0xff);
  return text;
}

std::string set_dst_mac(const std::string& mac) {
  std::string digits;
  for (char c : mac) {
    if (c != ':') digits += c;
  }
  return "modify_field op set dst_type mac_dst src_type value src_value " + digits + " width 48";
}

// The tables of a VPC with VNI 7001 for the VM at vf0 (and, for local delivery, the one at vf1).
class SwitchTest : public testing::Test {
 protected:
  void install() {
    net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
    net.create("group 0 pattern from:uplink / end actions jump group 1 / end");
    admitted = net.create(
        "group 1 pattern from:vf0 / eth src is 02:00:00:00:00:01 has_vlan is 0 / ipv4 src is "
        "10.1.0.5 / end actions count / " +
        set_tag(0, 7001) + " / jump group 2 / end");
    net.create(
        "group 1 priority 1 pattern from:vf0 / eth src is 02:00:00:00:00:01 type is 0x0806 has_vlan is 0 / "
        "end "
        "actions count / jump group 7 / end");  // group 7 is empty: to the agent
    spoofed = net.create("group 1 priority 10 pattern from:vf0 / eth / end actions count / drop / end");
    terminated = net.create(
        "group 1 pattern from:uplink / eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni "
        "is 7001 / end actions vxlan_decap / count / " +
        set_tag(0, 7001) + " / jump group 2 / end");
    net.create(
        "group 2 pattern from:uplink / tag index is 0 data is 7001 / eth dst is 02:00:00:00:00:01 / end "
        "actions " +
        set_tag(1, 1) + " / jump group 4 / end");
    unknown_mac = net.create("group 2 priority 9 pattern from:uplink / eth / end actions count / drop / end");
    unknown_vni = net.create(
        "group 1 priority 5 pattern from:uplink / eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / "
        "end actions count / drop / end");
    net.create("group 2 priority 3 pattern from:vf0 / eth / ipv4 / end actions jump group 3 / end");
    refused = net.create(
        "group 2 pattern from:vf0 / eth / ipv4 dst spec 10.1.0.0 dst mask 255.255.255.0 / tcp dst is "
        "22 / end actions count / drop / end");
    mapped = net.create(
        "group 3 pattern from:vf0 / tag index is 0 data is 7001 / eth / ipv4 dst is 10.1.0.6 / end "
        "actions count / " +
        set_dst_mac(kDbMac) +
        " / vxlan_encap { eth src 02:aa:00:00:00:01 dst 02:aa:00:00:00:02 / ipv4 src 10.0.0.1 dst "
        "10.0.0.2 / udp / vxlan vni 7001 } / to:uplink / end");
    net.create(
        "group 3 pattern from:vf0 / tag index is 0 data is 7001 / eth / ipv4 dst is 10.1.0.7 / end actions "
        "count / " +
        set_dst_mac(kLocalMac) + " / " + set_tag(1, 2) + " / jump group 4 / end");
    net.create(
        "group 4 pattern from:uplink / tag index is 1 data is 1 / eth / end actions jump group 5 / end");
    net.create("group 4 pattern from:vf0 / tag index is 1 data is 2 / eth / end actions jump group 5 / end");
    delivered = net.create(
        "group 5 pattern from:uplink / tag index is 1 data is 1 / eth / end actions count / to:vf0 / end");
    net.create(
        "group 5 pattern from:vf0 / tag index is 1 data is 2 / eth / end actions count / to:vf1 / end");
  }

  static Packet from_web(const std::string& dst = "10.1.0.6") {
    return Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", dst);
  }

  static Bytes tunnelled(std::uint32_t vni, const std::string& dst_mac,
                         const std::string& vtep = "10.0.0.1") {
    return Packet()
        .eth("02:aa:00:00:00:02", "02:aa:00:00:00:01")
        .ipv4("10.0.0.2", vtep)
        .udp(50000, 4789)
        .vxlan(vni)
        .eth(kDbMac, dst_mac)
        .ipv4("10.1.0.6", "10.1.0.5")
        .udp(5353, 5353)
        .payload(40)
        .bytes();
  }

  SwitchHarness net;
  rte_flow* admitted = nullptr;
  rte_flow* spoofed = nullptr;
  rte_flow* terminated = nullptr;
  rte_flow* unknown_vni = nullptr;
  rte_flow* unknown_mac = nullptr;
  rte_flow* refused = nullptr;
  rte_flow* mapped = nullptr;
  rte_flow* delivered = nullptr;
};

TEST_F(SwitchTest, PacketOfAVmLeavesThroughOneTunnel) {
  install();
  const Bytes sent = from_web().tcp(40000, 80).payload(100).bytes();
  net.wire_in(kWeb, sent);
  net.run();
  const std::vector<Bytes> out = net.wire_out(kUplink);
  ASSERT_THAT(out, SizeIs(1));
  Bytes inner = sent;
  const Bytes db_mac{0x02, 0, 0, 0, 0, 0x02};
  std::copy(db_mac.begin(), db_mac.end(), inner.begin());
  EXPECT_EQ(Bytes(out[0].begin() + 50, out[0].end()), inner);
  EXPECT_EQ(checksum_fault(out[0]), "");

  ParsedPacket parsed;
  parse(out[0].data(), static_cast<std::uint32_t>(out[0].size()), 0, parsed);
  EXPECT_EQ(parsed.fields.outer.presence, kHasEthernet | kHasIpv4 | kHasUdp | kHasVxlan);
  EXPECT_EQ(parsed.fields.inner.presence, kHasEthernet | kHasIpv4 | kHasTcp);
  EXPECT_THAT(parsed.fields.outer.vni, ElementsAre(0, 7001 >> 8, 7001 & 0xff));
  EXPECT_GE(out[0][34], 0xc0);            // entropy: 49152 and up
  EXPECT_EQ(out[0][40] | out[0][41], 0);  // no UDP checksum
  EXPECT_EQ(out[0][16] << 8 | out[0][17], static_cast<int>(out[0].size() - 14));
  EXPECT_EQ(out[0][38] << 8 | out[0][39], static_cast<int>(out[0].size() - 34));

  EXPECT_EQ(net.count(admitted).hits, 1U);
  EXPECT_EQ(net.count(mapped).hits, 1U);
  EXPECT_EQ(net.count(mapped).bytes, sent.size());
}

TEST_F(SwitchTest, EntropyPortIsOneAFlowAndDiffersBetweenFlows) {
  install();
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1000, 1000, 1001})
    net.wire_in(kWeb, from_web().tcp(port, 80).payload(port % 7).bytes());
  net.run();
  const std::vector<Bytes> out = net.wire_out(kUplink);
  ASSERT_THAT(out, SizeIs(3));
  const auto entropy = [&](std::size_t i) { return out[i][34] << 8 | out[i][35]; };
  EXPECT_EQ(entropy(0), entropy(1));
  EXPECT_NE(entropy(0), entropy(2));
}

TEST_F(SwitchTest, TunnelledPacketIsDeliveredAsItWasSent) {
  install();
  const Bytes packet = tunnelled(7001, kWebMac);
  net.wire_in(kUplink, packet);
  net.run();
  EXPECT_THAT(net.wire_out(kWeb), ElementsAre(Bytes(packet.begin() + 50, packet.end())));
  EXPECT_EQ(net.count(terminated).hits, 1U);
  EXPECT_EQ(net.count(delivered).hits, 1U);
}

TEST_F(SwitchTest, LocalDestinationNeedsNoTunnel) {
  install();
  net.wire_in(kWeb, from_web("10.1.0.7").udp(1, 2).bytes());
  net.run();
  const std::vector<Bytes> out = net.wire_out(kLocal);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_EQ(out[0][5], 3);
  EXPECT_EQ(out[0].size(), from_web().udp(1, 2).bytes().size());
  EXPECT_THAT(net.wire_out(kUplink), IsEmpty());
}

TEST_F(SwitchTest, SpoofedPacketsAreDroppedAndCounted) {
  install();
  net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.9", "10.1.0.6").udp(1, 2).bytes());
  net.wire_in(kWeb, Packet().eth(kDbMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes());
  net.wire_in(kWeb,
              Packet().eth(kWebMac, kGatewayMac).vlan(5).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes());
  net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).vlan(5).arp().bytes());
  net.run();
  EXPECT_EQ(net.count(spoofed).hits, 4U);
  for (PortIndex port : {kUplink, kWeb, kLocal}) {
    EXPECT_THAT(net.wire_out(port), IsEmpty());
    EXPECT_THAT(net.agent_out(port), IsEmpty());
  }
}

TEST_F(SwitchTest, ForeignVniMacOrVtepIsNotDelivered) {
  install();
  net.wire_in(kUplink, tunnelled(7002, kWebMac));
  net.wire_in(kUplink, tunnelled(7001, kLocalMac));
  net.wire_in(kUplink, tunnelled(7001, kWebMac, "10.0.0.9"));
  net.run();
  EXPECT_EQ(net.count(unknown_vni).hits, 1U);
  EXPECT_EQ(net.count(unknown_mac).hits, 1U);
  EXPECT_THAT(net.wire_out(kWeb), IsEmpty());
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
  EXPECT_THAT(net.agent_out(kUplink), SizeIs(1));  // the wrong VTEP matched nothing
}

TEST_F(SwitchTest, LowerPriorityNumberWins) {
  install();
  net.wire_in(kWeb, from_web().tcp(40000, 22).bytes());
  net.wire_in(kWeb, from_web().tcp(40000, 23).bytes());
  net.run();
  EXPECT_EQ(net.count(refused).hits, 1U);
  EXPECT_THAT(net.wire_out(kUplink), SizeIs(1));
}

TEST_F(SwitchTest, LaterFragmentsMissLayerFourRules) {
  install();
  net.wire_in(kWeb,
              Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6", 64, 0x2000).tcp(1, 22).bytes());
  net.wire_in(kWeb,
              Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6", 64, 0x0003).tcp(1, 22).bytes());
  net.run();
  EXPECT_EQ(net.count(refused).hits, 1U);
  EXPECT_THAT(net.wire_out(kUplink), SizeIs(1));
}

TEST_F(SwitchTest, RulesWithoutVlanStatementMatchTaggedFrames) {
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create("group 1 pattern from:vf0 / eth / ipv4 src is 10.1.0.5 / end actions to:vf1 / end");
  const Bytes tagged =
      Packet().eth(kWebMac, kGatewayMac).vlan(5).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes();
  net.wire_in(kWeb, tagged);
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), ElementsAre(tagged));
}

TEST_F(SwitchTest, MissesGoToTheRepresentorOfTheirPortAndNowhereElse) {
  install();
  const Bytes arp = Packet().eth(kWebMac, "ff:ff:ff:ff:ff:ff").arp().bytes();
  const Bytes unmapped = from_web("10.1.0.99").udp(1, 2).bytes();
  net.wire_in(kWeb, arp);
  net.wire_in(kWeb, unmapped);
  net.wire_in(kLocal, arp);  // no rule at all for vf1
  net.run();
  EXPECT_THAT(net.agent_out(kWeb), ElementsAre(arp, unmapped));
  EXPECT_THAT(net.agent_out(kLocal), ElementsAre(arp));
  EXPECT_THAT(net.agent_out(kUplink), IsEmpty());
  for (PortIndex port : {kUplink, kWeb, kLocal}) EXPECT_THAT(net.wire_out(port), IsEmpty());
  EXPECT_EQ(net.xstat(kWeb, "missed_packets"), 2U);
}

TEST_F(SwitchTest, TheAgentSendsOutOfAnyPortPastAllRules) {
  install();
  const Bytes packet = Packet().eth(kGatewayMac, kWebMac).arp().bytes();
  for (PortIndex port : {kUplink, kWeb, kLocal}) net.agent_in(port, packet);
  net.run();
  for (PortIndex port : {kUplink, kWeb, kLocal}) EXPECT_THAT(net.wire_out(port), ElementsAre(packet));
}

TEST_F(SwitchTest, ModifiedHeadersKeepTheirChecksums) {
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  const std::string set = "modify_field op set dst_type ";
  const std::string imm = " src_type value src_value ";
  net.create("group 1 pattern from:vf0 / eth / ipv4 / tcp / end actions " + set + "ipv4_src" + imm +
             "0a630001 width 32 / " + set + "ipv4_dst" + imm + "0a630002 width 32 / " + set + "ipv4_ttl" +
             imm + "07 width 8 / " + set + "tcp_port_src" + imm + "1234 width 16 / " + set + "tcp_port_dst" +
             imm + "0050 width 16 / to:vf1 / end");
  net.create("group 1 pattern from:vf0 / eth / ipv6 / udp / end actions " + set + "ipv6_src" + imm +
             "fd000000000000000000000000000001 width 128 / " + set + "ipv6_hoplimit" + imm + "07 width 8 / " +
             set + "udp_port_dst" + imm + "0035 width 16 / to:vf1 / end");
  net.wire_in(kWeb, from_web().tcp(1, 2).payload(33).bytes());
  net.wire_in(kWeb,
              Packet().eth(kWebMac, kGatewayMac).ipv6("fd00::5", "fd00::6").udp(1, 2).payload(9).bytes());
  net.run();
  const std::vector<Bytes> out = net.wire_out(kLocal);
  EXPECT_THAT(out, ElementsAre(Packet()
                                   .eth(kWebMac, kGatewayMac)
                                   .ipv4("10.99.0.1", "10.99.0.2", 7)
                                   .tcp(0x1234, 80)
                                   .payload(33)
                                   .bytes(),
                               testing::Truly([](const Bytes& packet) {
                                 return checksum_fault(packet).empty() && packet[21] == 7;
                               })));
}

TEST_F(SwitchTest, Ipv6UnderlayWorksTheSame) {
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create(
      "group 1 pattern from:vf0 / eth / ipv6 dst is fd00::6 / end actions vxlan_encap { eth / ipv6 src "
      "fd0f::1 dst fd0f::2 / udp / vxlan vni 5 } / to:uplink / end");
  const Bytes packet =
      Packet().eth(kWebMac, kGatewayMac).ipv6("fd00::5", "fd00::6").udp(1, 2).payload(9).bytes();
  net.wire_in(kWeb, packet);
  net.run();
  const std::vector<Bytes> out = net.wire_out(kUplink);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_EQ(Bytes(out[0].begin() + 70, out[0].end()), packet);
  EXPECT_EQ(out[0][18] << 8 | out[0][19], static_cast<int>(out[0].size() - 54));
  ParsedPacket parsed;
  parse(out[0].data(), static_cast<std::uint32_t>(out[0].size()), 0, parsed);
  EXPECT_EQ(parsed.fields.outer.presence, kHasEthernet | kHasIpv6 | kHasUdp | kHasVxlan);
  EXPECT_EQ(parsed.fields.outer.ttl, 64);
}

TEST_F(SwitchTest, DestroyedRuleNoLongerActs) {
  install();
  net.destroy(mapped);
  net.wire_in(kWeb, from_web().udp(1, 2).bytes());
  net.run();
  EXPECT_THAT(net.wire_out(kUplink), IsEmpty());
  EXPECT_THAT(net.agent_out(kWeb), SizeIs(1));
}

TEST_F(SwitchTest, CountersCanBeReset) {
  install();
  net.wire_in(kWeb, from_web().udp(1, 2).bytes());
  net.run();
  EXPECT_EQ(net.count(mapped, true).hits, 1U);
  EXPECT_EQ(net.count(mapped).hits, 0U);
  net.wire_in(kWeb, from_web().udp(1, 2).bytes());
  net.run();
  EXPECT_EQ(net.count(mapped).hits, 1U);
}

TEST_F(SwitchTest, StoppingThePortDestroysItsRules) {
  install();
  for (PortIndex port : {kLocal, kWeb, kUplink}) ASSERT_EQ(rte_eth_dev_stop(net.ethdev(port)), 0);
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions drop / end"),
            "ENODEV: port not started");
  for (PortIndex port : {kUplink, kWeb, kLocal}) ASSERT_EQ(rte_eth_dev_start(net.ethdev(port)), 0);
  EXPECT_EQ(net.dump(), "");
  net.wire_in(kWeb, from_web().udp(1, 2).bytes());
  net.run();
  EXPECT_THAT(net.wire_out(kUplink), IsEmpty());
}

TEST_F(SwitchTest, DumpCanBeTypedBack) {
  install();
  const std::string dump = net.dump();
  EXPECT_THAT(dump, testing::HasSubstr("group 1 priority 10 pattern represented_port ethdev_port_id is " +
                                       std::to_string(net.ethdev(kWeb)) +
                                       " / eth / end actions count / drop / end\n"));
  EXPECT_THAT(dump,
              testing::HasSubstr("set vxlan ip-version ipv4 vni 7001 udp-src 0 udp-dst 4789 ip-src 10.0.0.1 "
                                 "ip-dst 10.0.0.2 eth-src 02:aa:00:00:00:01 eth-dst 02:aa:00:00:00:02\n"));
}

}  // namespace
}  // namespace berth::soft::test
