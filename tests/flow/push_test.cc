#include "dataplane/explain/explain.h"
#include "dataplane/wire_numbers.h"
#include "tests/flow/agent_world.h"

#include <boost/asio/detached.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using dataplane::Purpose;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Push, ChangesOnlyTheRulesOfWhatChanged) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue, make_vpc("green", 7002)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  const auto before = world.eswitch.rules;
  std::size_t changes = 0;
  world.eswitch.on_change = [&] { ++changes; };
  blue.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.2")});
  EXPECT_THAT(world.push({blue, make_vpc("green", 7002)}), IsEmpty());
  EXPECT_EQ(changes, 1U);
  EXPECT_EQ(world.eswitch.rules.size(), before.size() + 1);
}

TEST(Push, AVpcInUseIsNotTakenAway) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  const auto before = world.eswitch.rules;
  EXPECT_THAT(world.push({make_vpc("green", 7002)}), ElementsAre("VPC_IN_USE"));
  EXPECT_EQ(world.eswitch.rules, before);
  EXPECT_NE(world.agent.vpcs().find(VpcId::trusted("blue")), nullptr);
}

TEST(Push, AMappingForAnAttachedVmsAddressIsRefused) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 200 - 100)));
  blue.mappings.push_back({ip("10.1.0.100"), mac("02:00:00:00:01:aa"), ip("192.0.2.2")});
  EXPECT_THAT(world.push({blue}), ElementsAre("IP_TAKEN"));
}

TEST(Push, AMappingToThisHostIsTheVmItself) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  blue.mappings.push_back({ip("10.1.0.5"), mac("02:00:00:00:01:05"), ip("192.0.2.1")});
  EXPECT_THAT(world.push({blue}), IsEmpty());
  EXPECT_FALSE(world.attach(world.intent("vm-1", "blue", 5))->error);
}

TEST(Push, TwoVpcsWithOneVniAreRefused) {
  AgentWorld world;
  EXPECT_THAT(world.push({make_vpc("blue", 7001), make_vpc("green", 7001)}), ElementsAre("VNI_TAKEN"));
  EXPECT_FALSE(world.agent.vpcs().is_synced());
}

TEST(Push, WhatTheEswitchRefusesIsTakenBackAsAWhole) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  const auto before = world.eswitch.rules;
  world.eswitch.capacity = before.size() + 1;
  blue.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.2")});
  blue.mappings.push_back({ip("10.1.0.202"), mac("02:00:00:00:01:ca"), ip("192.0.2.2")});
  EXPECT_THAT(world.push({blue}), ElementsAre("ESWITCH_FULL"));
  EXPECT_EQ(world.eswitch.rules, before);
  EXPECT_EQ(world.agent.vpcs().find(VpcId::trusted("blue"))->mappings.size(), 1U);
}

// The old rule is still there then, and somebody has to remove it.
TEST(Push, ARuleThatCouldNotBeReplacedGoesWithItsVm) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue});
  const auto before = world.eswitch.rules;
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  blue.policy = {{dataplane::Direction::kIngress, 5, dataplane::Verdict::kDeny, {}, {}, {}}};
  std::size_t refused = 0;
  world.eswitch.refuse_add = [&](const dataplane::Rule& rule) -> Result<void> {
    if (!world.eswitch.rules.contains(rule.key)) return {};
    ++refused;
    return fail(Code::kResourceExhausted, "ESWITCH_FULL", "told to be full");
  };
  EXPECT_THAT(world.push({blue}), Not(IsEmpty()));
  ASSERT_GT(refused, 0U) << "or nothing was to be replaced";
  EXPECT_FALSE(world.detach(attached->attachment, "bye")->error);
  EXPECT_TRUE(world.eswitch.rules == before);
}

TEST(Push, NobodySeesAVpcBeforeItIsAccepted) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  Signal go_on(world.io.get_executor());
  world.eswitch.before_apply = [&] { return go_on.wait(); };
  blue.mappings.clear();
  bool accepted = false;
  const auto push = [&]() -> asio::awaitable<void> {
    const auto errors =
        co_await world.agent.push_vpcs({.vpcs = make_vpcs({blue, make_vpc("green", 7002)}), .version = 9});
    accepted = errors && errors->empty();
  };
  asio::co_spawn(world.io, push(), asio::detached);
  world.io.restart();
  world.io.poll();
  EXPECT_EQ(world.agent.vpcs().version(), 1U);
  EXPECT_EQ(world.attach(world.intent("vm-2", "green", 5)).error().reason, "VPC_UNKNOWN");
  world.eswitch.before_apply = nullptr;
  go_on.notify_all();
  while (!accepted) world.io.run_one();
  EXPECT_EQ(world.agent.vpcs().version(), 9U);
}

TEST(Push, GoesOnWhenItsControllerGoesAway) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  world.push({blue});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  const auto before = world.eswitch.rules;
  Signal go_on(world.io.get_executor());
  world.eswitch.before_apply = [&] { return go_on.wait(); };
  world.eswitch.capacity = before.size();  // it will be refused, and has to be undone
  blue.mappings[0].mac = mac("02:00:00:00:01:c9");
  blue.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:ca"), ip("192.0.2.2")});
  TaskGroup controller(world.io.get_executor());
  const auto push = [&]() -> asio::awaitable<void> {
    (void)co_await world.agent.push_vpcs({.vpcs = make_vpcs({blue}), .version = 9});
  };
  controller.spawn("push", push());
  world.io.restart();
  world.io.poll();
  controller.cancel();
  run_until_done(world.io, controller.join());
  world.eswitch.before_apply = nullptr;
  go_on.notify_all();
  world.io.restart();
  world.io.poll();
  EXPECT_EQ(world.eswitch.rules, before);
  EXPECT_EQ(world.agent.vpcs().version(), 1U);
}

TEST(Push, TwoVpcsMaySwapTheirVnis) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001), make_vpc("green", 7002)});
  const auto blue_vm = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(world.attach(world.intent("vm-2", "green", 5)));
  EXPECT_THAT(world.push({make_vpc("blue", 7002), make_vpc("green", 7001)}), IsEmpty());
  ASSERT_TRUE(world.detach(blue_vm->attachment, "bye"));
  EXPECT_EQ(world.eswitch.count(Purpose::kTerminate), 2U);
  for (const auto& [key, rule] : world.eswitch.rules) {
    if (rule.purpose == Purpose::kInnerMac) EXPECT_EQ(key.match.tag, 7001U);
  }
}

TEST(Push, ADeltaOnAnOldVersionIsRefused) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  world.push({make_vpc("blue", 7001)});
  const auto errors =
      world.run(world.agent.push_vpcs({.vpcs = make_vpcs({}), .version = 9, .base_version = 1}));
  ASSERT_EQ(errors.value().size(), 1U);
  EXPECT_EQ(errors.value()[0].error.reason, "STALE_BASE");
}

TEST(NextHops, OnesThatWereNotProgrammedAreTriedAgain) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  world.eswitch.refuse_add = [](const dataplane::Rule&) -> Result<void> {
    return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
  };
  const std::map<IpAddress, MacAddress> hops = {{ip("192.0.2.2"), mac("02:00:00:00:ff:22")}};
  EXPECT_FALSE(world.run(world.agent.set_next_hops(hops)));
  world.eswitch.refuse_add = nullptr;
  EXPECT_TRUE(world.run(world.agent.set_next_hops(hops)));
  EXPECT_EQ(world.eswitch.count(Purpose::kMapping), 1U);
}

TEST(Push, AMappingWaitsForItsNextHop) {
  AgentWorld world;
  auto blue = make_vpc("blue", 7001);
  blue.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.3")});
  world.push({blue});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  EXPECT_EQ(world.eswitch.count(Purpose::kMapping), 1U);
  ASSERT_TRUE(world.run(world.agent.set_next_hops(
      {{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}, {ip("192.0.2.3"), mac("02:00:00:00:ff:03")}})));
  EXPECT_EQ(world.eswitch.count(Purpose::kMapping), 2U);
}

// Every state of the rule table that packets may see while the push is programmed judges them by one
// version of the policy: the old one denies port 22 only, the new one port 23 only.
TEST(Push, APolicyIsReplacedAsAWhole) {
  AgentWorld world;
  const auto with_deny = [](std::uint16_t port) {
    auto vpc = make_vpc("blue", 7001);
    vpc.policy = {{dataplane::Direction::kEgress, 5, dataplane::Verdict::kDeny, dataplane::kProtocolTcp,
                   std::nullopt, dataplane::PortRange{port, port}},
                  {dataplane::Direction::kIngress, 5, dataplane::Verdict::kDeny, dataplane::kProtocolTcp,
                   std::nullopt, dataplane::PortRange{port, port}}};
    return vpc;
  };
  world.push({with_deny(22)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  ASSERT_TRUE(world.attach(world.intent("vm-2", "blue", 6)));
  const auto is_denied = [&](std::string_view packet) {
    std::vector<dataplane::HeldRule> held;
    for (const auto& [key, rule] : world.eswitch.rules) held.push_back({.rule = rule});
    const auto headers = dataplane::parse_packet_text(packet, {.eth_src = mac("02:00:00:00:01:05")});
    const auto explanation = dataplane::explain(held, dataplane::EswitchPort::function(0), headers.value());
    return explanation.end == dataplane::Explanation::End::kDropped;
  };
  std::size_t states = 0;
  world.eswitch.on_change = [&] {
    ++states;
    const bool denies_old = is_denied("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 22");
    const bool denies_new = is_denied("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 23");
    EXPECT_TRUE(denies_old || denies_new) << "neither version would let both pass";
    EXPECT_FALSE(is_denied("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 24")) << "both versions let it pass";
  };
  EXPECT_THAT(world.push({with_deny(23)}), IsEmpty());
  EXPECT_GT(states, 8U);
  EXPECT_FALSE(is_denied("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 22"));
  EXPECT_TRUE(is_denied("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > 23"));
}

}  // namespace
}  // namespace berth::testing
