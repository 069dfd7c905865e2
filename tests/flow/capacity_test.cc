// How much an agent takes on, what it does about those who are away, and how an attach is withdrawn.
#include "tests/flow/agent_world.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::Operation;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

TEST(Capacity, RulesThatWouldNotFitAreRefusedBeforeAnythingHappens) {
  std::size_t shared = 0;
  std::size_t of_one = 0;
  {
    AgentWorld unlimited;
    unlimited.push({make_vpc("blue", 7001)});
    shared = unlimited.eswitch.rules.size();
    ASSERT_TRUE(unlimited.attach(unlimited.intent("vm-1", "blue", 5)));
    of_one = unlimited.eswitch.rules.size() - shared;
  }
  AgentWorld world({.eswitch_limits = {.rules = shared + of_one + of_one - 1}});
  world.push({make_vpc("blue", 7001)});
  EXPECT_EQ(world.agent.capacity().eswitch_free.rules, 2 * of_one - 1);
  ASSERT_FALSE(world.attach(world.intent("vm-1", "blue", 5))->error);
  EXPECT_EQ(world.agent.capacity().eswitch_free.rules, of_one - 1);
  const auto rules_before = world.eswitch.rules;

  const auto refused = world.attach(world.intent("vm-2", "blue", 6));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "RULES_EXHAUSTED");
  EXPECT_EQ(refused.error().metadata.at("needed"), std::to_string(of_one));
  EXPECT_EQ(refused.error().metadata.at("free"), std::to_string(of_one - 1));
  EXPECT_TRUE(world.eswitch.rules == rules_before);

  ASSERT_TRUE(world.detach(world.agent.attachments().list()[0].id, "bye"));
  EXPECT_FALSE(world.attach(world.intent("vm-2", "blue", 6))->error);
}

// Room is promised when an attach is accepted, not when its rules are made.
TEST(Capacity, RoomThatIsPromisedIsNotPromisedAgain) {
  std::size_t held = 0;
  {
    AgentWorld unlimited;
    unlimited.push({make_vpc("blue", 7001)});
    ASSERT_TRUE(unlimited.attach(unlimited.intent("vm-1", "blue", 5)));
    held = unlimited.eswitch.rules.size();
  }
  AgentWorld world({.eswitch_limits = {.rules = held}});
  world.push({make_vpc("blue", 7001)});
  ASSERT_TRUE(world.run(world.agent.attach(world.intent("vm-1", "blue", 5))));
  EXPECT_EQ(world.run(world.agent.attach(world.intent("vm-2", "blue", 6))).error().reason, "RULES_EXHAUSTED");
}

// What the attach of a VM with two rates takes, of every pool.
TEST(Capacity, CountersAndMetersAreCountedToo) {
  dataplane::TableUse use;
  agent::AttachIntent with_rates = make_intent("vm-1", "blue", 5);
  with_rates.interfaces[0].rates = {.from_vm = 1'000'000'000, .to_vm = 1'000'000'000};
  {
    AgentWorld unlimited;
    unlimited.push({make_vpc("blue", 7001)});
    ASSERT_FALSE(unlimited.attach(with_rates)->error);
    dataplane::TableUseSum sum;
    for (const auto& [key, rule] : unlimited.eswitch.rules) sum.add(rule);
    use = sum.use();
  }
  ASSERT_GE(use.meters, 2U);
  for (const auto& [missing, reason] : {std::pair(dataplane::TableUse{.counters = 1}, "COUNTERS_EXHAUSTED"),
                                        std::pair(dataplane::TableUse{.meters = 1}, "METERS_EXHAUSTED")}) {
    dataplane::TableUse limits = use;
    limits -= missing;
    AgentWorld world({.eswitch_limits = limits});
    world.push({make_vpc("blue", 7001)});
    const auto refused = world.run(world.agent.attach(with_rates));
    ASSERT_FALSE(refused) << reason;
    EXPECT_EQ(refused.error().reason, reason);
    EXPECT_EQ(std::stoul(refused.error().metadata.at("needed")),
              std::stoul(refused.error().metadata.at("free")) + 1);
  }
  AgentWorld world({.eswitch_limits = use});
  world.push({make_vpc("blue", 7001)});
  const auto attached = world.attach(with_rates);
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_EQ(world.agent.capacity().eswitch_free, dataplane::TableUse());
  ASSERT_FALSE(world.detach(attached->attachment, "bye")->error);
  EXPECT_EQ(world.agent.capacity().eswitch_free.meters, use.meters);
}

TEST(Capacity, MoreOperationsThanMayWaitAreRefused) {
  AgentWorld world({.turns = {.running = 1, .total = 2, .of_tenant = 2}});
  world.push({make_vpc("blue", 7001)});
  Signal go_on(world.io.get_executor());
  world.driver.before_plug = [&] { return go_on.wait(); };
  ASSERT_TRUE(world.run(world.agent.attach(world.intent("vm-1", "blue", 5))));
  const auto second = world.run(world.agent.attach(world.intent("vm-2", "blue", 6)));
  ASSERT_TRUE(second);
  EXPECT_EQ(world.run(world.agent.attach(world.intent("vm-3", "blue", 7))).error().reason,
            "TOO_MANY_OPERATIONS");
  EXPECT_EQ(world.agent.capacity().operations_running, 2U);
  EXPECT_EQ(world.agent.capacity().functions_free, 1U) << "the one that was refused has taken none";

  world.driver.before_plug = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(second->id))->error);
  EXPECT_FALSE(world.attach(world.intent("vm-3", "blue", 7))->error);
}

// --- who is away

struct Patience : ::testing::Test {
  // Nobody answers the first so many times.
  void be_away(int times) {
    world.driver.before_plug = [times]() mutable -> Task<void> {
      if (times-- > 0) co_return fail(Code::kUnavailable, "VMM_UNREACHABLE", "told to be away");
      co_return Result<void>();
    };
  }
  AgentWorld world{{.patience = 300ms}};
};

TEST_F(Patience, WhoComesBackInTimeIsAskedAgain) {
  world.push({make_vpc("blue", 7001)});
  be_away(2);
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(attached && !attached->error) << attached->error->message;
  const auto plug = std::ranges::find(attached->steps, "plug", &agent::StepRecord::name);
  EXPECT_THAT(plug->detail, HasSubstr("3 tries"));
}

TEST_F(Patience, ADetachHasItToo) {
  world.push({make_vpc("blue", 7001)});
  const auto id = world.attach(world.intent("vm-1", "blue", 5))->attachment;
  world.eswitch.before_apply = [times = 2]() mutable -> Task<void> {
    if (times-- > 0) co_return fail(Code::kUnavailable, "ESWITCH_AWAY", "told to be away");
    co_return Result<void>();
  };
  const auto detached = world.detach(id, "bye");
  ASSERT_TRUE(detached && !detached->error) << detached->error->message;
  const auto withdraw = std::ranges::find(detached->steps, "withdraw", &agent::StepRecord::name);
  EXPECT_THAT(withdraw->detail, HasSubstr("3 tries"));
}

TEST_F(Patience, ItHasAnEnd) {
  world.push({make_vpc("blue", 7001)});
  be_away(1000);
  const auto failed = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(failed && failed->error);
  EXPECT_EQ(failed->error->reason, "VMM_UNREACHABLE");
  EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
}

TEST_F(Patience, WhatIsRefusedIsNotAskedAgain) {
  world.push({make_vpc("blue", 7001)});
  world.driver.failing = {"plug"};
  const auto failed = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(failed && failed->error);
  const auto plug = std::ranges::find(failed->steps, "plug", &agent::StepRecord::name);
  EXPECT_EQ(plug->detail, "plug was told to fail") << "and nothing of tries";
}

// --- withdrawn

class Withdrawn : public ::testing::Test {
 protected:
  Withdrawn() {
    world.push({make_vpc("blue", 7001)});
    world.driver.before_plug = [this] { return go_on.wait(); };
    accepted = world.run(world.agent.attach(world.intent("vm-1", "blue", 5))).value();
    world.run_until([this] { return world.driver.bound.size() == 1; });
  }
  void resume() {
    world.driver.before_plug = nullptr;
    go_on.notify_all();
  }
  Operation wait() { return world.run(world.agent.operations().wait(accepted.id)).value(); }

  AgentWorld world;
  Signal go_on{world.io.get_executor()};
  Operation accepted;
};

TEST_F(Withdrawn, AnAttachStopsAfterItsStepAndIsUndone) {
  EXPECT_FALSE(world.run(world.agent.cancel(accepted.id))->done);
  EXPECT_TRUE(world.run(world.agent.cancel(accepted.id))) << "twice is once";
  resume();
  const Operation ended = wait();
  ASSERT_TRUE(ended.error);
  EXPECT_EQ(ended.error->code, Code::kCancelled);
  EXPECT_EQ(ended.error->reason, "WITHDRAWN");
  EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
  EXPECT_THAT(world.driver.plugged, IsEmpty());
  EXPECT_EQ(world.agent.capacity().functions_free, AgentWorld::kFunctions);
  EXPECT_EQ(world.run(world.agent.cancel(accepted.id))->error->reason, "WITHDRAWN") << "as it ended";
}

TEST_F(Withdrawn, WhatIsDoneStays) {
  resume();
  EXPECT_FALSE(wait().error);
  EXPECT_FALSE(world.run(world.agent.cancel(accepted.id))->error);
  EXPECT_EQ(world.agent.attachments().list().size(), 1U);
}

TEST_F(Withdrawn, ADetachGoesToItsEnd) {
  resume();
  ASSERT_FALSE(wait().error);
  world.driver.before_unplug = [this] { return go_on.wait(); };
  const auto detach = world.run(world.agent.detach({RequestId::trusted("bye"), accepted.attachment}));
  ASSERT_TRUE(detach);
  EXPECT_EQ(world.run(world.agent.cancel(detach->id)).error().reason, "NOT_CANCELLABLE");
  world.run_until(
      [this] { return world.agent.attachments().list()[0].state == agent::AttachmentState::kDetaching; });
  world.driver.before_unplug = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(detach->id))->error);
}

TEST_F(Withdrawn, WhatIsNotKnownIsNamed) {
  EXPECT_EQ(world.run(world.agent.cancel(OperationId::trusted("op-x"))).error().reason, "OPERATION_UNKNOWN");
  resume();
  wait();
}

// --- only if it is still the one that the caller knows

TEST(Etag, ADetachOfAnotherStateIsRefused) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  const auto now = agent::etag_of(*world.agent.attachments().get(attached->attachment));
  const auto refused =
      world.run(world.agent.detach({RequestId::trusted("bye"), attached->attachment, "0123456789abcdef"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kAborted);
  EXPECT_EQ(refused.error().reason, "ETAG_MISMATCH");
  EXPECT_TRUE(world.run(world.agent.detach({RequestId::trusted("bye"), attached->attachment, now})));
}

}  // namespace
}  // namespace berth::testing
