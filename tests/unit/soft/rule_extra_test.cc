// Meters, ages, counters shared through handles, and faults on request.
#include "dataplane/soft/faults.h"
#include "tests/unit/soft/flow_text.h"
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <cerrno>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mtr.h>

namespace berth::soft::test {
namespace {

using testing::SizeIs;

constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;

class RuleExtraTest : public testing::Test {
 protected:
  RuleExtraTest() { net.create("group 0 pattern from:vf0 / end actions jump group 1 / end"); }

  // A meter that lets `burst` bytes pass and refills hardly at all.
  void add_meter(std::uint32_t id, std::uint64_t burst) {
    rte_mtr_meter_profile profile{};
    profile.alg = RTE_MTR_SRTCM_RFC2697;
    profile.srtcm_rfc2697 = {.cir = 1, .cbs = burst, .ebs = 0};
    rte_mtr_error error{};
    ASSERT_EQ(rte_mtr_meter_profile_add(proxy(), id, &profile, &error), 0) << error.message;
    rte_mtr_params params{};
    params.meter_profile_id = id;
    params.meter_enable = 1;
    ASSERT_EQ(rte_mtr_create(proxy(), id, &params, 1, &error), 0) << error.message;
  }

  std::uint16_t proxy() const { return net.ethdev(kUplink); }

  void send(int count) {
    for (int i = 0; i < count; ++i) {
      net.wire_in(kWeb, Packet()
                            .eth("02:00:00:00:00:01", "02:00:00:00:00:fe")
                            .ipv4("10.1.0.5", "10.1.0.6")
                            .udp(1, 2)
                            .payload(58)
                            .bytes());  // 100 bytes
    }
    net.run();
  }

  SwitchHarness net;
};

TEST_F(RuleExtraTest, MeterDropsWhatIsTooMuch) {
  add_meter(7, 350);
  net.create("group 1 pattern from:vf0 / eth / end actions meter mtr_id 7 / to:vf1 / end");
  send(10);
  EXPECT_THAT(net.wire_out(kLocal), SizeIs(3));
  rte_mtr_stats stats{};
  std::uint64_t mask = 0;
  rte_mtr_error error{};
  ASSERT_EQ(rte_mtr_stats_read(proxy(), 7, &stats, &mask, 0, &error), 0);
  EXPECT_EQ(stats.n_pkts[RTE_COLOR_GREEN], 3U);
  EXPECT_EQ(stats.n_pkts_dropped, 7U);
  EXPECT_EQ(stats.n_bytes_dropped, 700U);
}

TEST_F(RuleExtraTest, MeterCanBeSwitchedOffAndIsBusyWhileUsed) {
  add_meter(7, 100);
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions meter mtr_id 8 / to:vf1 / end"),
            "EINVAL: Meter not found");
  rte_flow* rule = net.create("group 1 pattern from:vf0 / eth / end actions meter mtr_id 7 / to:vf1 / end");
  rte_mtr_error error{};
  ASSERT_EQ(rte_mtr_meter_disable(proxy(), 7, &error), 0);
  send(5);
  EXPECT_THAT(net.wire_out(kLocal), SizeIs(5));
  EXPECT_EQ(rte_mtr_destroy(proxy(), 7, &error), -EBUSY);
  net.destroy(rule);
  EXPECT_EQ(rte_mtr_destroy(proxy(), 7, &error), 0);
}

TEST_F(RuleExtraTest, SharedCounterCountsForAllItsRules) {
  const rte_flow_indir_action_conf conf{.ingress = 0, .egress = 0, .transfer = 1};
  const rte_flow_action count{RTE_FLOW_ACTION_TYPE_COUNT, nullptr};
  rte_flow_error error{};
  rte_flow_action_handle* handle = rte_flow_action_handle_create(proxy(), &conf, &count, &error);
  ASSERT_NE(handle, nullptr);
  std::vector<rte_flow*> rules;
  for (const std::string protocol : {"udp", "tcp"}) {
    FlowText text = parse_flow("transfer " + net.with_ids("group 1 pattern from:vf0 / eth / ipv4 / " +
                                                          protocol + " / end actions count / to:vf1 / end"));
    text.actions[0] = {RTE_FLOW_ACTION_TYPE_INDIRECT, handle};
    rules.push_back(rte_flow_create(proxy(), &text.attr, text.pattern.data(), text.actions.data(), &error));
    ASSERT_NE(rules.back(), nullptr) << error.message;
  }
  send(3);
  net.wire_in(
      kWeb,
      Packet().eth("02:00:00:00:00:01", "02:00:00:00:00:fe").ipv4("10.1.0.5", "10.1.0.6").tcp(1, 2).bytes());
  net.run();
  rte_flow_query_count value{};
  ASSERT_EQ(rte_flow_action_handle_query(proxy(), handle, &value, &error), 0);
  EXPECT_EQ(value.hits, 4U);
  EXPECT_EQ(rte_flow_action_handle_destroy(proxy(), handle, &error), -EBUSY);
  for (rte_flow* rule : rules) net.destroy(rule);
  EXPECT_EQ(rte_flow_action_handle_destroy(proxy(), handle, &error), 0);
}

TEST_F(RuleExtraTest, IdleRulesAreToldOnceUntilTheyAreHitAgain) {
  rte_flow* rule = net.create("group 1 pattern from:vf0 / eth / end actions age timeout 1 / to:vf1 / end");
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_get_aged_flows(proxy(), nullptr, 0, &error), 0);
  const auto wait_until_aged = [&] {
    while (rte_flow_get_aged_flows(proxy(), nullptr, 0, &error) == 0) rte_delay_ms(20);
  };
  wait_until_aged();
  void* context = nullptr;
  ASSERT_EQ(rte_flow_get_aged_flows(proxy(), &context, 1, &error), 1);
  EXPECT_EQ(context, rule);
  EXPECT_EQ(rte_flow_get_aged_flows(proxy(), nullptr, 0, &error), 0);
  send(1);
  EXPECT_EQ(rte_flow_get_aged_flows(proxy(), nullptr, 0, &error), 0);
  wait_until_aged();
}

TEST_F(RuleExtraTest, RuleNIsRefusedOnRequest) {
  Faults* faults = faults_of(net.name());
  ASSERT_NE(faults, nullptr);
  faults->plan({.refuse_create = 2, .refuse_errno = EIO});
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions drop / end"), "");
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions drop / end"),
            "EIO: refused on request");
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions drop / end"), "");
  EXPECT_EQ(faults_of("net_berth99"), nullptr);
}

TEST_F(RuleExtraTest, RuleNIsAcknowledgedAndDoesNotActOnRequest) {
  faults_of(net.name())->plan({.ignore_create = 2});
  rte_flow* acting = net.create("group 1 priority 1 pattern from:vf0 / end actions count / drop / end");
  rte_flow* ignored = net.create("group 1 pattern from:vf0 / eth / end actions count / drop / end");
  send(3);
  EXPECT_EQ(net.count(ignored).hits, 0U);
  EXPECT_EQ(net.count(acting).hits, 3U);
  net.destroy(ignored);
  rte_flow* next = net.create("group 1 pattern from:vf0 / eth / end actions count / drop / end");
  send(1);
  EXPECT_EQ(net.count(next).hits, 1U);
}

int note_reset(std::uint16_t /*port*/, rte_eth_event_type /*type*/, void* told, void* /*unused*/) {
  *static_cast<bool*>(told) = true;
  return 0;
}

TEST_F(RuleExtraTest, AResetLosesAllRulesAndIsTold) {
  bool told = false;
  ASSERT_EQ(rte_eth_dev_callback_register(proxy(), RTE_ETH_EVENT_INTR_RESET, &note_reset, &told), 0);
  faults_of(net.name())->plan({.reset_after = 1});
  EXPECT_THAT(net.refusal("group 1 pattern from:vf0 / eth / end actions to:vf1 / end"),
              testing::StartsWith("EIO"));
  EXPECT_TRUE(told);
  EXPECT_THAT(net.refusal("group 1 pattern from:vf0 / eth / end actions to:vf1 / end"),
              testing::StartsWith("EIO"));
  send(1);
  EXPECT_THAT(net.wire_out(kLocal), SizeIs(0));
  net.stop_ports();
  net.start_ports();
  EXPECT_EQ(net.dump(), "");
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions to:vf1 / end"), "");
}

TEST(RuleExtraArguments, FaultsCanBeGivenAsDeviceArguments) {
  SwitchHarness net(1, ",fault_refuse=1,flow_cache=0");
  EXPECT_EQ(net.refusal("group 1 pattern from:vf0 / eth / end actions drop / end"),
            "ENOMEM: refused on request");
}

}  // namespace
}  // namespace berth::soft::test
