// Which updates are refused, and how those that are accepted get on with pushes, other operations and a VMaaS
// that thinks better of it.
#include "tests/flow/update_world.h"

#include <boost/asio/detached.hpp>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::UpdateIntent;
using dataplane::PolicyGroup;
using dataplane::Purpose;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Updates, WhatMakesNoSenseIsRefusedAndNothingIsChanged) {
  const auto id = attach(5, {"web"});
  const auto rules = world.eswitch.rules;
  const auto etag = etag_of(now(id));
  EXPECT_EQ(refusal(to_groups(AttachmentId::trusted("att-0"), 5, {})), "ATTACHMENT_UNKNOWN");
  EXPECT_EQ(refusal(to_groups(id, 6, {})), "INTERFACE_UNKNOWN");
  EXPECT_EQ(refusal(to_groups(id, 5, {"mail", "mail"})), "POLICY_GROUP_TWICE");
  EXPECT_EQ(refusal(to_groups(id, 5, {"nobody"})), "POLICY_GROUP_UNKNOWN");
  UpdateIntent none = make_update(id, 5);
  none.interfaces.clear();
  EXPECT_EQ(refusal(none), "NO_INTERFACE");
  UpdateIntent twice = to_groups(id, 5, {"mail"});
  twice.interfaces.push_back(twice.interfaces[0]);
  EXPECT_EQ(refusal(twice), "INTERFACE_TWICE");
  UpdateIntent stale = to_groups(id, 5, {"mail"});
  stale.etag = "0123";
  EXPECT_EQ(refusal(stale), "ETAG_MISMATCH");
  EXPECT_TRUE(world.eswitch.rules == rules);
  EXPECT_EQ(etag_of(now(id)), etag);
  stale.etag = etag;
  EXPECT_FALSE(update(stale)->error);
}

TEST_F(Updates, OneThatIsOnlyAskedAboutTellsWhatWouldBe) {
  const auto id = attach(5, {"web"});
  const auto rules = world.eswitch.rules;
  const auto would_be = world.run(world.agent.check(to_groups(id, 5, {"mail"})));
  ASSERT_TRUE(would_be);
  EXPECT_EQ(would_be->interfaces[0].intent.policy_groups, groups({"mail"}));
  EXPECT_EQ(would_be->state, AttachmentState::kAttached);
  EXPECT_EQ(now(id).interfaces[0].intent.policy_groups, groups({"web"}));
  EXPECT_TRUE(world.eswitch.rules == rules);
  EXPECT_FALSE(now(id).has_operation);
}

TEST_F(Updates, ARequestIsOneOperationHoweverOftenItIsMade) {
  const auto id = attach(5, {"web"});
  const auto first = update(to_groups(id, 5, {"mail"}));
  const auto again = world.run(world.agent.update(to_groups(id, 5, {"mail"})));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(world.run(world.agent.update(to_groups(id, 5, {}))).error().reason, "REQUEST_ID_REUSED");
}

TEST_F(Updates, OnlyOneOperationHasAnAttachment) {
  const auto id = attach(5, {"web"});
  Signal go_on(world.io.get_executor());
  world.eswitch.before_apply = [&] { return go_on.wait(); };
  const auto accepted = world.run(world.agent.update(to_groups(id, 5, {"mail"})));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(world.run(world.agent.detach({RequestId::trusted("bye"), id})).error().reason, "ATTACHMENT_BUSY");
  EXPECT_EQ(refusal(to_groups(id, 5, {}, "other")), "ATTACHMENT_BUSY");
  EXPECT_EQ(now(id).interfaces[0].intent.policy_groups, groups({"web"}))
      << "told as it was, until it is done";
  EXPECT_EQ(now(id).state, AttachmentState::kAttached);
  // Either group is in use meanwhile.
  for (const char* gone : {"web", "mail"}) {
    auto vpc = make_blue();
    std::erase_if(vpc.policy_groups, [&](const PolicyGroup& group) { return group.id.str() == gone; });
    EXPECT_THAT(world.push({vpc}), ElementsAre("POLICY_GROUP_IN_USE")) << gone;
  }
  world.eswitch.before_apply = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(accepted->id))->error);
  auto without_web = make_blue();
  without_web.policy_groups.erase(without_web.policy_groups.begin());
  EXPECT_THAT(world.push({without_web}), IsEmpty()) << "nobody is in it any more";
  EXPECT_FALSE(world.detach(id, "bye")->error);
}

// A push that takes the group away is being programmed when the update is accepted: it is waited for, so that
// no packet meets a policy set that lacks a group.
TEST(UpdateAndPush, AGroupThatAPushWouldTakeAwayIsWaitedFor) {
  AgentWorld world({.patience = std::chrono::seconds(20)});
  world.push({make_blue()});
  auto wanted = make_intent("vm-5", "blue", 5);
  const auto id = world.attach(wanted)->attachment;
  Signal go_on(world.io.get_executor());
  world.eswitch.before_apply = [&] { return go_on.wait(); };
  std::optional<std::vector<dataplane::ResourceError>> errors;
  auto without = make_vpc("blue", 7001);
  without.mappings.clear();  // or nothing would have to be programmed
  const auto push = [&]() -> asio::awaitable<void> {
    errors = (co_await world.agent.push_vpcs({.vpcs = make_vpcs({without}), .version = 9})).value();
  };
  asio::co_spawn(world.io, push(), asio::detached);
  world.io.restart();
  world.io.poll();
  const auto accepted = world.run(world.agent.update(to_groups(id, 5, {"web"})));
  ASSERT_TRUE(accepted) << "the push is not accepted yet";
  const auto denied_all = [&] {
    std::size_t found = 0;
    for (const auto& [key, rule] : world.eswitch.rules)
      found += rule.purpose == Purpose::kEgressPolicy ? 1 : 0;
    return found == 0;
  };
  world.eswitch.on_change = [&] { EXPECT_FALSE(denied_all()); };
  world.eswitch.before_apply = nullptr;
  go_on.notify_all();
  const auto ended = world.run(world.agent.operations().wait(accepted->id));
  EXPECT_FALSE(ended->error) << ended->error->message;
  world.run_until([&] { return errors.has_value(); });
  ASSERT_EQ(errors->size(), 1U);
  EXPECT_EQ(errors->front().error.reason, "POLICY_GROUP_IN_USE");
  for (const auto& step : ended->steps) {
    if (step.name == "stage") EXPECT_THAT(step.detail, ::testing::HasSubstr("tries"));
  }
}

// The controller replaces the rules of both groups while the update has both.
TEST_F(Updates, APushMeanwhileIsOfBothValues) {
  const auto id = attach(5, {"web"});
  attach(6, {});
  Signal go_on(world.io.get_executor());
  std::size_t applied = 0;
  world.eswitch.before_apply = [&]() -> Task<void> {
    if (++applied != 2) co_return Result<void>();  // staged, and not moved
    co_return co_await go_on.wait();
  };
  const auto accepted = world.run(world.agent.update(to_groups(id, 5, {"mail"})));
  world.run_until([&] { return applied == 2; });
  auto changed = make_blue();
  changed.policy_groups = {make_group("web", {22, 81}), make_group("mail", {22, 26})};
  std::optional<std::size_t> errors;
  const auto push = [&]() -> asio::awaitable<void> {
    errors = (co_await world.agent.push_vpcs({.vpcs = make_vpcs({changed}), .version = 9})).value().size();
  };
  asio::co_spawn(world.io, push(), asio::detached);
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(accepted->id))->error);
  world.run_until([&] { return errors.has_value(); });
  EXPECT_EQ(errors, 0U);
  EXPECT_FALSE(passes(0, 5, 6, 26));
  EXPECT_TRUE(passes(0, 5, 6, 25));
  EXPECT_TRUE(passes(0, 5, 6, 81));
  expect_settled();
}

TEST_F(Updates, OneIsWithdrawnAtAnyMomentUntilItIsKept) {
  const auto id = attach(5, {"web"});
  attach(6, {});
  const auto rules = world.eswitch.rules;
  for (std::size_t wait_for = 1; wait_for <= 4; ++wait_for) {
    Signal go_on(world.io.get_executor());
    std::size_t applied = 0;
    world.eswitch.before_apply = [&]() -> Task<void> {
      if (++applied != wait_for) co_return Result<void>();
      co_return co_await go_on.wait();
    };
    const auto accepted =
        world.run(world.agent.update(to_groups(id, 5, {"mail"}, fmt::format("change-{}", wait_for))));
    world.run_until([&] { return applied == wait_for; });
    const auto as_it_is = world.run(world.agent.cancel(accepted->id));
    ASSERT_TRUE(as_it_is);
    EXPECT_FALSE(as_it_is->done);
    world.eswitch.on_change = [&] { expect_no_gap(); };
    go_on.notify_all();
    const auto ended = world.run(world.agent.operations().wait(accepted->id));
    world.eswitch.on_change = nullptr;
    world.eswitch.before_apply = nullptr;
    if (wait_for == 4) {  // it is kept, and what nobody needs any more goes
      EXPECT_FALSE(ended->error);
      continue;
    }
    EXPECT_EQ(ended->error.value_or(Error()).reason, "WITHDRAWN");
    EXPECT_EQ(ended->error->code, Code::kCancelled);
    EXPECT_TRUE(world.eswitch.rules == rules);
    EXPECT_EQ(world.run(world.agent.cancel(accepted->id))->id, accepted->id) << "once more does nothing";
  }
}

TEST(UpdateCapacity, WhatIsNewNeedsRoomBesideWhatIsOld) {
  auto with_rate = make_intent("vm-5", "blue", 5);
  with_rate.interfaces[0].rates.from_vm = kGbit;
  dataplane::TableUse held;
  std::size_t of_set = 0;
  {
    AgentWorld unlimited;
    unlimited.push({make_blue()});
    ASSERT_FALSE(unlimited.attach(with_rate)->error);
    dataplane::TableUseSum sum;
    for (const auto& [key, rule] : unlimited.eswitch.rules) sum.add(rule);
    held = sum.use();
    auto in_web = make_intent("vm-6", "blue", 6);
    const auto alone = unlimited.attach(in_web);
    const std::size_t without = unlimited.eswitch.rules.size();
    ASSERT_FALSE(unlimited.detach(alone->attachment, "bye")->error);
    in_web.request = RequestId::trusted("again");
    in_web.interfaces[0].policy_groups = groups({"web"});
    ASSERT_FALSE(unlimited.attach(in_web)->error);
    of_set = unlimited.eswitch.rules.size() - without;
  }
  for (const std::size_t missing : {1U, 0U}) {
    AgentWorld world({.eswitch_limits = {.rules = held.rules + of_set - missing}});
    world.push({make_blue()});
    const auto id = world.attach(with_rate)->attachment;
    const auto rules = world.eswitch.rules;
    const auto asked = world.run(world.agent.update(to_groups(id, 5, {"web"})));
    ASSERT_EQ(asked.has_value(), missing == 0);
    if (asked) {
      EXPECT_FALSE(world.run(world.agent.operations().wait(asked->id))->error);
      continue;
    }
    EXPECT_EQ(asked.error().reason, "RULES_EXHAUSTED");
    EXPECT_EQ(asked.error().metadata.at("needed"), std::to_string(of_set));
    EXPECT_EQ(asked.error().metadata.at("free"), std::to_string(of_set - 1));
    EXPECT_TRUE(world.eswitch.rules == rules);
    EXPECT_FALSE(world.agent.attachments().find(id)->has_operation);
  }
  AgentWorld world({.eswitch_limits = {.meters = held.meters}});
  world.push({make_blue()});
  const auto id = world.attach(with_rate)->attachment;
  UpdateIntent faster = make_update(id, 5);
  faster.interfaces[0].rate_from_vm = 2 * kGbit;
  EXPECT_EQ(world.run(world.agent.update(faster)).error().reason, "METERS_EXHAUSTED");
  faster.interfaces[0].rate_from_vm = 0;
  EXPECT_TRUE(world.run(world.agent.update(faster)));
}

}  // namespace
}  // namespace berth::testing
