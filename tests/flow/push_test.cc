#include "tests/flow/agent_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using dataplane::Purpose;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace berth::testing
