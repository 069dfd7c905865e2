// Bursts of many flows: whatever they have in common, each packet takes its own way and is counted once.
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

constexpr PortIndex kVm = 1;

Bytes udp_to(std::uint32_t flow, std::uint16_t port = 53) {
  const std::string address = "10.1." + std::to_string(flow / 256) + "." + std::to_string(flow % 256);
  return Packet()
      .eth("02:00:00:00:00:01", "02:00:00:00:00:fe")
      .ipv4("10.2.0.5", address)
      .udp(1000, port)
      .bytes();
}

// The cache begins with room for 512 flows.
TEST(FlowBurst, TheCacheGrowsUntilItKnowsEveryFlow) {
  constexpr std::uint32_t kFlows = 2048;
  SwitchHarness net(2, ",flow_cache=65536");
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* rule = net.create(
      "group 1 pattern from:vf0 / eth / ipv4 dst spec 10.1.0.0 dst mask 255.255.0.0 / udp / end "
      "actions count / to:vf1 / end");
  // So that each destination is a flow.
  net.create("group 1 pattern from:vf0 / eth / ipv4 dst is 10.9.9.9 / udp / end actions drop / end");
  constexpr int kRounds = 8;
  std::uint64_t before_last = 0;
  for (int round = 0; round < kRounds; ++round) {
    before_last = net.xstat(kVm, "walked_packets");
    for (std::uint32_t flow = 0; flow < kFlows; flow += 32) {
      for (std::uint32_t i = 0; i < 32; ++i) net.wire_in(kVm, udp_to(flow + i));
      net.run_once();
      EXPECT_EQ(net.wire_out(2).size(), 32U);
    }
  }
  EXPECT_LT(net.xstat(kVm, "walked_packets") - before_last, std::uint64_t{kFlows / 50});
  EXPECT_EQ(net.count(rule).hits, std::uint64_t{kRounds * kFlows});
}

// Mappings behind one rule that counts, behind two of which one is another, and behind none.
TEST(FlowBurst, RulesThatPacketsHaveInCommonCountEachOnce) {
  SwitchHarness net;
  const std::string map =
      " / end actions count / modify_field op set dst_type mac_dst src_type value src_value 020000000007 "
      "width 48 / vxlan_encap { eth dst 02:00:00:00:00:09 / "
      "ipv4 src 10.0.0.1 dst 10.0.0.2 / udp / vxlan vni 7001 } / to:uplink / end";
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* web = net.create(
      "group 1 pattern from:vf0 / eth / ipv4 / udp dst is 80 / end actions count / jump group 2 / end");
  rte_flow* dns = net.create(
      "group 1 pattern from:vf0 / eth / ipv4 / udp dst is 53 / end actions count / jump group 2 / end");
  rte_flow* direct = net.create("group 1 pattern from:vf0 / eth / ipv4 / udp dst is 90" + map);
  net.create("group 2 priority 2 pattern from:vf0 / eth / ipv4 / udp / end actions jump group 3 / end");
  rte_flow* third = net.create(
      "group 2 pattern from:vf0 / eth / ipv4 dst is 10.1.0.3 / udp / end actions count / jump group 3 / end");
  const std::array mapped{
      net.create("group 3 pattern from:vf0 / eth / ipv4 dst is 10.1.0.1 / udp" + map),
      net.create("group 3 pattern from:vf0 / eth / ipv4 dst is 10.1.0.2 / udp" + map),
      net.create("group 3 pattern from:vf0 / eth / ipv4 dst is 10.1.0.3 / udp" + map),
  };
  constexpr std::uint64_t kRounds = 3;
  const std::uint64_t bytes = udp_to(1).size();
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    for (const std::uint16_t port : std::to_array<std::uint16_t>({80, 80, 53, 90, 80, 53, 53})) {
      for (std::uint32_t flow = 1; flow <= 3; ++flow) net.wire_in(kVm, udp_to(flow, port));
    }
    net.run_once();
  }
  EXPECT_EQ(net.wire_out(kUplink).size(), 21 * kRounds);
  EXPECT_EQ(net.xstat(kVm, "walked_packets"), 21U) << "later rounds take the short way";
  EXPECT_EQ(net.count(web).hits, 9 * kRounds);
  EXPECT_EQ(net.count(dns).hits, 9 * kRounds);
  EXPECT_EQ(net.count(dns).bytes, 9 * kRounds * bytes);
  EXPECT_EQ(net.count(direct).hits, 3 * kRounds);
  EXPECT_EQ(net.count(third).hits, 6 * kRounds);
  EXPECT_EQ(net.count(third).bytes, 6 * kRounds * bytes);
  for (rte_flow* rule : mapped) EXPECT_EQ(net.count(rule).hits, 6 * kRounds);
}

// The worker knows by which bits flows in use can be told, of one kind of change at a time.
TEST(FlowBurst, AKnownFlowIsFoundByItsChangeAfterChangesOfOtherKinds) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  const auto to = [&net](const std::string& fields) {
    return net.create("group 1 pattern from:vf0 / eth / ipv4 " + fields + " / end actions to:vf1 / end");
  };
  const auto change_another_kind = [&] { net.destroy(to("/ udp dst is 99")); };
  const auto change_the_same_kind = [&] { net.destroy(to("dst is 10.1.9.9")); };
  const auto send = [&net] {
    net.wire_in(kVm, udp_to(1));
    net.run_once();
    return net.xstat(kVm, "walked_packets");
  };
  change_another_kind();  // now, so that no key grows below
  rte_flow* own = to("dst is 10.1.0.1");
  EXPECT_EQ(send(), 1U);
  change_another_kind();
  EXPECT_EQ(send(), 1U);
  change_the_same_kind();
  EXPECT_EQ(send(), 1U);
  net.destroy(own);
  EXPECT_EQ(send(), 2U);
  EXPECT_EQ(net.agent_out(kVm).size(), 1U);
  EXPECT_EQ(net.wire_out(2).size(), 3U);
}

}  // namespace
}  // namespace berth::soft::test
