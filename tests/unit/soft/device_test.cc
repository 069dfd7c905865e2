// The switch as DPDK devices: ownership, order of start and stop, representors, bounded slow path.
#include "dataplane/soft/rte_pmd_berth.h"
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <algorithm>
#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace berth::soft::test {
namespace {

using testing::IsEmpty;

constexpr const char* kWebMac = "02:00:00:00:00:01";
constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;

class DeviceTest : public testing::Test {
 protected:
  SwitchHarness net;
};

TEST_F(DeviceTest, SlowPathIsBoundedAndItsDropsAreCounted) {
  for (int i = 0; i < 1000; ++i) {
    net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).arp().bytes());
    net.run_once();
  }
  const std::size_t taken = net.agent_out(kWeb).size();
  EXPECT_GE(taken, 512U);
  EXPECT_LT(taken, 1000U);
  EXPECT_EQ(net.xstat(kWeb, "miss_dropped_packets"), 1000 - taken);
  rte_eth_stats stats{};
  ASSERT_EQ(rte_eth_stats_get(net.ethdev(kWeb), &stats), 0);
  EXPECT_EQ(stats.ipackets, taken);
  EXPECT_EQ(stats.imissed, 1000 - taken);
}

TEST_F(DeviceTest, RuntFramesAreDroppedAndCounted) {
  net.wire_in(kWeb, Bytes(13));
  net.run();
  EXPECT_EQ(net.xstat(kWeb, "malformed_packets"), 1U);
  EXPECT_THAT(net.agent_out(kWeb), IsEmpty());
}

TEST_F(DeviceTest, WhatExceedsAFunctionsMtuIsTheAgents) {
  ASSERT_EQ(rte_eth_dev_set_mtu(net.ethdev(kWeb), 1450), 0);
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create("group 1 pattern from:vf0 / end actions to:uplink / end");
  net.wire_in(kWeb, Bytes(1464, 1));
  net.wire_in(kWeb, Bytes(1465, 1));
  net.run();
  EXPECT_THAT(net.wire_out(kUplink), ::testing::SizeIs(1));
  EXPECT_THAT(net.agent_out(kWeb), ::testing::SizeIs(1));
  EXPECT_EQ(net.xstat(kWeb, "oversized_packets"), 1U);
}

TEST_F(DeviceTest, ProxyStartsFirstAndStopsLast) {
  EXPECT_EQ(rte_eth_dev_stop(net.ethdev(kUplink)), -EBUSY);
  for (PortIndex port : {kLocal, kWeb, kUplink}) ASSERT_EQ(rte_eth_dev_stop(net.ethdev(port)), 0);
  EXPECT_EQ(rte_eth_dev_start(net.ethdev(kWeb)), -EAGAIN);
}

TEST_F(DeviceTest, RepresentorsNameTheirProxyAndTakeNoRules) {
  std::uint16_t proxy = 0;
  rte_flow_error error{};
  ASSERT_EQ(rte_flow_pick_transfer_proxy(net.ethdev(kWeb), &proxy, &error), 0);
  EXPECT_EQ(proxy, net.ethdev(kUplink));
  const rte_flow_attr attr{
      .group = 1, .priority = 0, .ingress = 0, .egress = 0, .transfer = 1, .reserved = 0};
  const rte_flow_item pattern[] = {{RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr}};
  const rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_END, nullptr}};
  EXPECT_EQ(rte_flow_validate(net.ethdev(kWeb), &attr, pattern, actions, &error), -EINVAL);
  rte_eth_dev_info info{};
  ASSERT_EQ(rte_eth_dev_info_get(net.ethdev(kWeb), &info), 0);
  EXPECT_EQ(*info.dev_flags & RTE_ETH_DEV_REPRESENTOR, static_cast<std::uint32_t>(RTE_ETH_DEV_REPRESENTOR));
  rte_eth_dev_info proxy_info{};
  ASSERT_EQ(rte_eth_dev_info_get(proxy, &proxy_info), 0);
  EXPECT_EQ(info.switch_info.domain_id, proxy_info.switch_info.domain_id);
  EXPECT_EQ(info.switch_info.port_id, 0U) << "its representor id";
  EXPECT_EQ(proxy_info.switch_info.port_id, UINT16_MAX) << "the uplink is nobody's representor";
}

// Rules name the first of them RTE_MAX_ETHPORTS.
TEST(UnbackedDevice, TakesRulesAndSwallowsPackets) {
  SwitchHarness net(1, ",unbacked=3");
  const auto id = [](int number) { return std::to_string(RTE_MAX_ETHPORTS + number); };
  const std::string last = "represented_port ethdev_port_id " + id(2);
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* deliver = net.create("group 1 pattern from:vf0 / end actions count / " + last + " / end");
  net.create("group 1 pattern represented_port ethdev_port_id is " + id(0) +
             " / end actions to:uplink / end");
  EXPECT_THAT(net.refusal("group 1 pattern represented_port ethdev_port_id is " + id(3) +
                          " / end actions to:uplink / end"),
              testing::Not(testing::IsEmpty()));
  EXPECT_THAT(net.dump(), testing::HasSubstr(last));

  for (int i = 0; i < 100; ++i)
    net.wire_in(kWeb, Packet().eth(kWebMac, kGatewayMac).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes());
  net.run();
  EXPECT_EQ(net.count(deliver).hits, 100U);
  EXPECT_EQ(net.xstat(kUplink, "unbacked_dropped_packets"), 100U);
  EXPECT_THAT(net.wire_out(kUplink), IsEmpty());
  EXPECT_THAT(net.agent_out(kWeb), IsEmpty());
  int visible = 0;
  std::uint16_t port = 0;
  RTE_ETH_FOREACH_DEV(port)++ visible;
  EXPECT_EQ(visible, 2) << "the proxy and one representor";
}

TEST_F(DeviceTest, BackingPortsAreHiddenFromApplications) {
  int visible = 0;
  std::uint16_t port = 0;
  RTE_ETH_FOREACH_DEV(port)++ visible;
  EXPECT_EQ(visible, 3);
}

class InjectionTest : public DeviceTest {
 protected:
  InjectionTest() {
    net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
    rule = net.create("group 1 pattern from:vf0 / eth / end actions count / to:vf1 / end");
    pool = rte_pktmbuf_pool_create("injected", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  }
  ~InjectionTest() override { rte_mempool_free(pool); }
  int inject(PortIndex port, const Bytes& bytes) {
    rte_mbuf* packet = rte_pktmbuf_alloc(pool);
    auto* data = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(bytes.size()));
    std::ranges::copy(bytes, reinterpret_cast<std::uint8_t*>(data));
    const int failed = rte_pmd_berth_inject(net.ethdev(port), &packet, 1);
    if (failed != 0) rte_pktmbuf_free(packet);
    return failed;
  }
  rte_flow* rule = nullptr;
  rte_mempool* pool = nullptr;
  const Bytes frame = Packet().eth(kWebMac, kGatewayMac).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes();
};

TEST_F(InjectionTest, InjectedPacketsTakeTheWayOfThePortsOwn) {
  net.wire_in(kWeb, frame);
  ASSERT_EQ(inject(kWeb, frame), 0);
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), ::testing::ElementsAre(frame, frame));
  const auto walked = net.xstat(kWeb, "walked_packets");
  ASSERT_EQ(inject(kWeb, frame), 0);
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), ::testing::ElementsAre(frame));
  EXPECT_EQ(net.count(rule).hits, 3U);
  EXPECT_EQ(net.xstat(kWeb, "walked_packets"), walked) << "the flow cache knows it now";
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
}

TEST_F(InjectionTest, WhatCannotBeInjectedStaysTheCallers) {
  EXPECT_EQ(inject(kWeb, {}), -EINVAL);
  rte_mbuf* none = nullptr;
  EXPECT_EQ(rte_pmd_berth_inject(RTE_MAX_ETHPORTS, &none, 0), -ENOTSUP);
  std::uint16_t backing = 0;
  while (rte_eth_dev_is_valid_port(backing) == 0 || backing == net.ethdev(kUplink)) ++backing;
  EXPECT_EQ(rte_pmd_berth_inject(backing, &none, 0), -ENOTSUP) << "not one of ours";
  std::vector<rte_mbuf*> many(513);
  rte_mempool* large = rte_pktmbuf_pool_create("many", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(large, many.data(), 513), 0);
  for (rte_mbuf* packet : many) rte_pktmbuf_append(packet, 60);
  EXPECT_EQ(rte_pmd_berth_inject(net.ethdev(kWeb), many.data(), 513), -ENOBUFS);
  rte_pktmbuf_free_bulk(many.data(), 513);
  rte_mempool_free(large);
  net.stop_ports();
  EXPECT_EQ(inject(kWeb, frame), -ENODEV);
}

}  // namespace
}  // namespace berth::soft::test
