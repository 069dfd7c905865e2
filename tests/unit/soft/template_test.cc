// The asynchronous API: templates, tables of fixed size, queues, and the driver's rules about them.
#include "tests/unit/soft/flow_text.h"
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/template_harness.h"

#include <cerrno>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

namespace berth::soft::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr PortIndex kWeb = 1;
constexpr const char* kMapping =
    "group 3 pattern from:vf0 / eth / ipv4 dst is 10.1.0.6 / end actions count / modify_field op set "
    "dst_type mac_dst "
    "src_type value src_value 020000000006 width 48 / vxlan_encap { eth dst 02:aa:00:00:00:02 / ipv4 src "
    "10.0.0.1 dst "
    "10.0.0.2 / udp / vxlan vni 7001 } / to:uplink / end";

TEST_F(TemplateTest, AsynchronousRulesForwardPackets) {
  net.create("group 0 pattern from:vf0 / end actions jump group 3 / end");
  table_of(flow(kMapping), 10);
  int cookie = 0;
  rte_flow* rule = enqueue(flow(kMapping), false, &cookie);
  ASSERT_NE(rule, nullptr) << error.message;
  const auto results = pull();
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].status, RTE_FLOW_OP_SUCCESS);
  EXPECT_EQ(results[0].user_data, &cookie);

  net.wire_in(
      kWeb,
      Packet().eth("02:00:00:00:00:01", "02:00:00:00:00:fe").ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).bytes());
  net.run();
  const auto out = net.wire_out(kUplink);
  ASSERT_THAT(out, SizeIs(1));
  EXPECT_EQ(out[0][50 + 5], 6);  // the inner destination MAC that the rule brought
  EXPECT_EQ(net.count(rule).hits, 1U);

  ASSERT_EQ(destroy(rule), 0) << error.message;
  EXPECT_THAT(pull(), SizeIs(1));
  EXPECT_EQ(net.dump().find("transfer group 3"), std::string::npos);
}

TEST_F(TemplateTest, RulesBringTheirOwnValues) {
  table_of(flow(kMapping), 10);
  std::string other = kMapping;
  other.replace(other.find("10.1.0.6"), 8, "10.1.0.7");
  other.replace(other.find("020000000006"), 12, "020000000007");
  ASSERT_NE(enqueue(flow(kMapping)), nullptr);
  ASSERT_NE(enqueue(flow(other)), nullptr);
  const std::string dump = net.dump();
  EXPECT_THAT(
      dump,
      HasSubstr("ipv4 dst is 10.1.0.7 / end actions count / modify_field op set dst_type mac_dst src_type "
                "value src_value 0x020000000007"));
  EXPECT_THAT(dump, HasSubstr("10.1.0.6"));
}

TEST_F(TemplateTest, PostponedOperationsCompleteAfterThePush) {
  table_of(flow(kMapping), 10);
  ASSERT_NE(enqueue(flow(kMapping), true), nullptr);
  EXPECT_THAT(pull(), SizeIs(0));
  ASSERT_EQ(rte_flow_push(proxy(), 0, &error), 0);
  EXPECT_THAT(pull(), SizeIs(1));
}

TEST_F(TemplateTest, FailedOperationsCompleteWithAnError) {
  table_of(flow(kMapping), 10);
  ASSERT_NE(enqueue(flow(kMapping)), nullptr);
  ASSERT_NE(enqueue(flow(kMapping)), nullptr);  // the same again
  const auto results = pull();
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_EQ(results[1].status, RTE_FLOW_OP_ERROR);
}

TEST_F(TemplateTest, QueuesAndTablesAreBounded) {
  table_of(flow(kMapping), kQueueSize + 1);
  const auto numbered = [this](int i) {
    std::string text = kMapping;
    text.replace(text.find("10.1.0.6"), 8, "10.1.1." + std::to_string(i));
    return flow(text);
  };
  int made = 0;
  for (; enqueue(numbered(made)) != nullptr; ++made) {
  }
  EXPECT_EQ(made, static_cast<int>(kQueueSize));
  EXPECT_EQ(rte_errno, EAGAIN);
  EXPECT_THAT(pull(), SizeIs(kQueueSize));
  EXPECT_NE(enqueue(numbered(100)), nullptr);
  EXPECT_EQ(enqueue(numbered(101)), nullptr);
  EXPECT_EQ(rte_errno, ENOMEM);
  EXPECT_THAT(error.message, HasSubstr("HP-41"));
}

TEST_F(TemplateTest, RulesGoBeforeTablesAndTablesBeforeTemplates) {
  table_of(flow(kMapping), 10);
  rte_flow* rule = enqueue(flow(kMapping));
  EXPECT_EQ(rte_flow_template_table_destroy(proxy(), table, &error), -EBUSY);
  EXPECT_EQ(rte_flow_pattern_template_destroy(proxy(), pattern, &error), -EBUSY);
  EXPECT_EQ(rte_flow_actions_template_destroy(proxy(), actions, &error), -EBUSY);
  ASSERT_EQ(destroy(rule), 0);
  pull();
  EXPECT_EQ(rte_flow_template_table_destroy(proxy(), table, &error), 0);
  EXPECT_EQ(rte_flow_pattern_template_destroy(proxy(), pattern, &error), 0);
  EXPECT_EQ(rte_flow_actions_template_destroy(proxy(), actions, &error), 0);
}

// Verdicts T02, T03, T05 .. T07, T29, T30 and Q02 of the driver.
TEST_F(TemplateTest, TheDriversVerdictsOnTemplates) {
  const FlowText text = flow(kMapping);
  EXPECT_EQ(pattern_of(text, net.ethdev(kWeb)), nullptr);
  EXPECT_EQ(actions_of(text, net.ethdev(kWeb)), nullptr);
  EXPECT_EQ(rte_errno, EINVAL);

  const rte_flow_actions_template_attr attr{.ingress = 0, .egress = 0, .transfer = 1};
  EXPECT_NE(actions_of(text, proxy()), nullptr);
  masks[0].type = RTE_FLOW_ACTION_TYPE_DROP;
  EXPECT_EQ(rte_flow_actions_template_create(proxy(), &attr, text.actions.data(), masks.data(), &error),
            nullptr);
  EXPECT_STREQ(error.message, "mask type does not match action type");

  masks[0].type = text.actions[0].type;
  modify_mask.dst.level = 1;
  EXPECT_EQ(rte_flow_actions_template_create(proxy(), &attr, text.actions.data(), masks.data(), &error),
            nullptr);
  EXPECT_THAT(error.message, HasSubstr("destination encapsulation level must be fully masked"));

  const auto with = [&](const std::string& action) {
    return flow("group 1 pattern from:vf0 / eth / end actions " + action + " / to:vf1 / end");
  };
  EXPECT_EQ(actions_of(with("meter mtr_id 1"), proxy()), nullptr);
  EXPECT_EQ(rte_errno, ENOTSUP);
  EXPECT_EQ(actions_of(with("age timeout 1"), proxy()), nullptr);
  EXPECT_THAT(error.message, HasSubstr("aging pool not initialized"));
}

TEST_F(TemplateTest, CountersNeedADeclaredPool) {
  configure(0);
  EXPECT_EQ(actions_of(flow("group 1 pattern from:vf0 / eth / end actions count / drop / end"), proxy()),
            nullptr);
  EXPECT_THAT(error.message, HasSubstr("counters pool not initialized"));
}

// As mlx5 does since it matches by representor: "port must be configured for HWS".
TEST(TemplatePorts, ARepresentorWithoutQueuesDoesNotStart) {
  SwitchHarness net(1);
  net.stop_ports();
  const rte_flow_port_attr attr{
      .nb_counters = 1, .nb_aging_objects = 0, .nb_meters = 0, .nb_conn_tracks = 0, .flags = 0};
  const rte_flow_queue_attr queue{.size = kQueueSize};
  const rte_flow_queue_attr* queues[] = {&queue};
  rte_flow_error error{};
  ASSERT_EQ(rte_flow_configure(net.ethdev(0), &attr, 1, queues, &error), 0) << error.message;
  ASSERT_EQ(rte_eth_dev_start(net.ethdev(0)), 0);
  EXPECT_EQ(rte_eth_dev_start(net.ethdev(1)), -EINVAL);
  ASSERT_EQ(rte_flow_configure(net.ethdev(1), &attr, 1, queues, &error), 0) << error.message;
  EXPECT_EQ(rte_eth_dev_start(net.ethdev(1)), 0);
}

TEST_F(TemplateTest, StoppingThePortEmptiesItsTables) {
  table_of(flow(kMapping), 1);
  ASSERT_NE(enqueue(flow(kMapping)), nullptr);
  net.stop_ports();
  net.start_ports();
  EXPECT_THAT(pull(), SizeIs(0));
  EXPECT_NE(enqueue(flow(kMapping)), nullptr);
  EXPECT_THAT(pull(), SizeIs(1));
}

}  // namespace
}  // namespace berth::soft::test
