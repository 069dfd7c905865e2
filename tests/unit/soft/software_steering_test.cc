// steering=software: rules as foreign clients of the synchronous API write them, on any port of the switch.
#include "tests/unit/soft/flow_text.h"
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>

namespace berth::soft::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kWebMac = "02:00:00:00:00:01";
constexpr const char* kLocalMac = "02:00:00:00:00:02";
constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;

class SoftwareSteering : public testing::Test {
 protected:
  rte_flow* try_create(PortIndex made_on, const std::string& rule) {
    const FlowText flow = parse_flow("transfer " + net.with_ids(rule));
    error = {};
    return rte_flow_create(net.ethdev(made_on), &flow.attr, flow.pattern.data(), flow.actions.data(), &error);
  }
  rte_flow* create(PortIndex made_on, const std::string& rule) {
    rte_flow* made = try_create(made_on, rule);
    EXPECT_NE(made, nullptr) << rule << ": " << (error.message != nullptr ? error.message : "?");
    return made;
  }
  int count(PortIndex made_on, rte_flow* rule, std::uint64_t& hits) {
    rte_flow_query_count value{};
    const rte_flow_action query[] = {{RTE_FLOW_ACTION_TYPE_COUNT, nullptr},
                                     {RTE_FLOW_ACTION_TYPE_END, nullptr}};
    const int failed = rte_flow_query(net.ethdev(made_on), rule, query, &value, &error);
    hits = value.hits;
    return failed;
  }
  std::string private_dump() {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* file = open_memstream(&text, &size);
    EXPECT_EQ(rte_eth_dev_priv_dump(net.ethdev(kLocal), file), 0);
    std::fclose(file);
    std::string result(text, size);
    std::free(text);
    return result;
  }

  SwitchHarness net{2, ",flow_cache=1024,steering=software"};
  rte_flow_error error{};
  const Bytes frame = Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes();
};

TEST_F(SoftwareSteering, ARuleWithoutAPortItemIsOfThePortThatItIsMadeOn) {
  rte_flow* of_web = create(kWeb, "pattern eth type is 0x0800 / end actions count / port_id id uplink / end");
  create(kLocal, "pattern eth type is 0x0800 / end actions count / port_id id vf0 / end");
  net.wire_in(kWeb, frame);
  net.wire_in(kLocal, frame);
  net.wire_in(kUplink, frame);
  net.run();
  EXPECT_THAT(net.wire_out(kUplink), ElementsAre(frame));
  EXPECT_THAT(net.wire_out(kWeb), ElementsAre(frame));
  EXPECT_THAT(net.agent_out(kUplink), ElementsAre(frame)) << "no rule is of the wire";
  std::uint64_t hits = 0;
  ASSERT_EQ(count(kWeb, of_web, hits), 0);
  EXPECT_EQ(hits, 1U);
  EXPECT_EQ(try_create(kWeb, "pattern from:vf1 / eth type is 0x0800 / end actions drop / end"), nullptr)
      << "the same port, said explicitly";
  EXPECT_EQ(rte_errno, EEXIST);
}

TEST_F(SoftwareSteering, TheOriginalPortIsThePortThatTheRuleIsMadeOn) {
  create(kWeb, "pattern eth / ipv4 / end actions port_id original 1 id vf1 / end");
  net.wire_in(kWeb, frame);
  net.run();
  EXPECT_THAT(net.wire_out(kWeb), ElementsAre(frame));
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
  EXPECT_EQ(try_create(kLocal, "pattern eth / ipv4 / end actions port_id id 65540 / end"), nullptr)
      << "65540 is port 4 to whoever reads 16 bits of it";
}

TEST_F(SoftwareSteering, LegacyActionsRewriteHeadersAndChecksums) {
  create(
      kWeb,
      "pattern eth / ipv4 / udp / end actions count / set_mac_src mac_addr 02:00:00:00:00:0a / set_mac_dst "
      "mac_addr 02:00:00:00:00:0b / set_ipv4_src ipv4_addr 192.0.2.1 / set_ipv4_dst ipv4_addr 192.0.2.2 / "
      "set_ttl ttl_value 7 / set_tp_src port 1000 / set_tp_dst port 2000 / port_id id uplink / end");
  create(kWeb,
         "pattern eth / ipv6 / tcp / end actions set_ipv6_src ipv6_addr fd00::1 / set_ipv6_dst ipv6_addr "
         "fd00::2 / "
         "set_ttl ttl_value 9 / set_tp_src port 1000 / set_tp_dst port 2000 / port_id id uplink / end");
  net.wire_in(kWeb, frame);
  net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).ipv6("fd01::1", "fd01::2").tcp(1, 2).bytes());
  net.run();
  Bytes sixth = Packet().eth(kWebMac, kGatewayMac).ipv6("fd00::1", "fd00::2").tcp(1000, 2000).bytes();
  sixth.at(14 + 7) = 9;  // the hop limit is in no checksum
  EXPECT_THAT(net.wire_out(kUplink), ElementsAre(Packet()
                                                     .eth("02:00:00:00:00:0a", "02:00:00:00:00:0b")
                                                     .ipv4("192.0.2.1", "192.0.2.2", 7)
                                                     .udp(1000, 2000)
                                                     .bytes(),
                                                 sixth));
}

TEST_F(SoftwareSteering, LegacyActionsNeedTheirHeaderInThePattern) {
  for (const char* action : {"set_ipv4_src ipv4_addr 192.0.2.1", "set_ipv6_dst ipv6_addr fd00::1",
                             "set_ttl ttl_value 7", "set_tp_src port 1", "set_mac_src", "set_ttl"}) {
    EXPECT_EQ(
        try_create(kWeb, std::string("pattern eth / end actions ") + action + " / port_id id vf1 / end"),
        nullptr)
        << action;
    EXPECT_EQ(rte_errno, EINVAL) << action;
  }
}

// What Open vSwitch asks for a routed flow is more than the match definer of hardware steering holds.
TEST_F(SoftwareSteering, LongPatternsAreTaken) {
  create(kWeb,
         "pattern eth src is 02:00:00:00:00:01 dst is 02:00:00:00:00:fe type is 0x0800 has_vlan is 0 / ipv4 "
         "src is "
         "10.1.0.5 dst is 10.1.0.6 proto is 17 ttl is 64 fragment_offset spec 0 fragment_offset mask 0x3fff "
         "/ udp "
         "src is 1 dst is 2 / end actions port_id id vf1 / end");
  net.wire_in(kWeb, frame);
  net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6", 63).udp(1, 2).bytes());
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), ElementsAre(frame));
}

TEST_F(SoftwareSteering, BitsOfASpecOutsideItsMaskAreIgnored) {
  create(
      kWeb,
      "pattern eth / ipv4 src spec 10.1.0.99 src mask 255.255.255.0 dst spec 10.9.9.9 dst mask 0.0.0.0 / end "
      "actions port_id id vf1 / end");
  net.wire_in(kWeb, frame);
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), ElementsAre(frame));
}

TEST_F(SoftwareSteering, APortFlushesItsOwnRules) {
  create(kUplink, "pattern eth / ipv4 / end actions drop / end");
  create(kWeb, "pattern eth / ipv4 / end actions drop / end");
  create(kLocal, "pattern eth / ipv4 / end actions drop / end");
  ASSERT_EQ(rte_flow_flush(net.ethdev(kWeb), &error), 0);
  EXPECT_THAT(private_dump(), testing::Not(HasSubstr(net.with_ids("pattern from:vf0"))));
  EXPECT_THAT(private_dump(), HasSubstr(net.with_ids("pattern from:vf1")));
  ASSERT_EQ(rte_flow_flush(net.ethdev(kUplink), &error), 0);
  EXPECT_THAT(private_dump(), HasSubstr(net.with_ids("pattern from:vf1")));
}

// As a client does that reconfigures a port and looks for its rules only later.
TEST_F(SoftwareSteering, AStoppedPortTakesItsRulesAlongAndStaleHandlesDoNoHarm) {
  rte_flow* gone = create(kWeb, "pattern eth / ipv4 / end actions count / port_id id vf1 / end");
  create(kLocal, "pattern eth / ipv4 / end actions count / port_id id vf0 / end");
  ASSERT_EQ(rte_eth_dev_stop(net.ethdev(kWeb)), 0);
  EXPECT_EQ(try_create(kWeb, "pattern eth / ipv4 / end actions drop / end"), nullptr);
  EXPECT_EQ(rte_errno, ENODEV);
  ASSERT_EQ(rte_eth_dev_start(net.ethdev(kWeb)), 0);
  std::uint64_t hits = 0;
  EXPECT_EQ(count(kWeb, gone, hits), -EINVAL);
  EXPECT_EQ(rte_flow_destroy(net.ethdev(kWeb), gone, &error), 0);
  EXPECT_EQ(rte_flow_destroy(net.ethdev(kWeb), gone, &error), 0);
  net.wire_in(kWeb, frame);
  net.wire_in(kLocal, frame);
  net.run();
  EXPECT_THAT(net.agent_out(kWeb), ElementsAre(frame));
  EXPECT_THAT(net.wire_out(kWeb), ElementsAre(frame)) << "the other port's rule is untouched";
}

TEST_F(SoftwareSteering, RulesCanBeSeenFromOutsideWithTheirCounters) {
  create(kWeb, "pattern eth / ipv4 / end actions count / port_id id vf1 / end");
  net.wire_in(kWeb, frame);
  net.run();
  EXPECT_EQ(private_dump(),
            net.with_ids("flow create uplink transfer group 0 priority 0 pattern from:vf0 / eth / ipv4 "
                         "/ end actions count / to:vf1 / end # packets 1 bytes ") +
                std::to_string(frame.size()) + "\n");
}

TEST_F(SoftwareSteering, TemplatesAreOfHardwareSteeringOnly) {
  rte_flow_port_info ports{};
  rte_flow_queue_info queues{};
  EXPECT_EQ(rte_flow_info_get(net.ethdev(kUplink), &ports, &queues, &error), -ENOTSUP);
}

TEST(CommonSteering, TakesNoneOfIt) {
  SwitchHarness net(2);
  const auto refused = [&net](const std::string& rule) {
    return net.refusal("group 1 pattern " + rule + " / end");
  };
  EXPECT_THAT(refused("eth / ipv4 / end actions drop"), HasSubstr("HP-02"));
  EXPECT_THAT(refused("from:vf0 / eth / end actions port_id id vf1"), HasSubstr("HP-26"));
  EXPECT_THAT(refused("from:vf0 / eth / end actions set_mac_src mac_addr 02:00:00:00:00:0a / to:vf1"),
              HasSubstr("HP-26"));
  const FlowText rule =
      parse_flow("transfer " + net.with_ids("group 1 pattern from:vf0 / eth / end actions drop / end"));
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_create(net.ethdev(kWeb), &rule.attr, rule.pattern.data(), rule.actions.data(), &error),
            nullptr);
  EXPECT_EQ(rte_errno, EINVAL);
  EXPECT_THAT(error.message, HasSubstr("proxy"));
}

// Open vSwitch's packets begin with DPDK's and go on behind it, in the private area of their buffers.
TEST(ForeignBuffers, PacketsComeInBuffersOfTheApplicationsWhenTheseHaveAPrivateArea) {
  constexpr std::uint16_t kPrivate = 512;
  SwitchHarness net(1);
  rte_mempool* pool =
      rte_pktmbuf_pool_create("private", 1, 0, kPrivate, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  ASSERT_EQ(rte_eth_dev_stop(net.ethdev(kWeb)), 0);
  ASSERT_EQ(rte_eth_rx_queue_setup(net.ethdev(kWeb), 0, 256, 0, nullptr, pool), 0);
  ASSERT_EQ(rte_eth_dev_start(net.ethdev(kWeb)), 0);
  const Bytes frame =
      Packet().eth(kWebMac, kLocalMac).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).payload(900).bytes();
  net.wire_in(kWeb, frame);
  net.wire_in(kWeb, frame);
  net.run();
  rte_mbuf* packets[4]{};
  ASSERT_EQ(rte_eth_rx_burst(net.ethdev(kWeb), 0, packets, 4), 1) << "there is one buffer";
  EXPECT_EQ(packets[0]->pool, pool);
  EXPECT_EQ(packets[0]->port, net.ethdev(kWeb));
  std::memset(packets[0] + 1, 0xff, kPrivate);
  const auto* data = rte_pktmbuf_mtod(packets[0], const std::uint8_t*);
  EXPECT_EQ(Bytes(data, data + packets[0]->pkt_len), frame);
  rte_pktmbuf_free(packets[0]);
  rte_eth_stats stats{};
  ASSERT_EQ(rte_eth_stats_get(net.ethdev(kWeb), &stats), 0);
  EXPECT_EQ(stats.ipackets, 1U);
  EXPECT_EQ(stats.rx_nombuf, 1U);
  net.stop_ports();
  rte_mempool_free(pool);
}

TEST(SteeringArgument, IsBothOrSoftware) {
  EXPECT_THROW(SwitchHarness(1, ",steering=hardware"), std::runtime_error);
}

}  // namespace
}  // namespace berth::soft::test
