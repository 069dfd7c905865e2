// Updates of what is attached: packets meet the old values or the new ones as a whole, and all of an update
// comes true, or none of it.
#include "tests/flow/update_world.h"

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::OperationKind;
using agent::StepStatus;
using agent::UpdateIntent;
using dataplane::Purpose;
using ::testing::ElementsAre;

TEST_F(Updates, RatesAndGroupsAreOthersAndNothingElse) {
  const auto id = attach(5, {"web"}, {.from_vm = kGbit, .to_vm = 2 * kGbit});
  const auto before = now(id);
  UpdateIntent intent = to_groups(id, 5, {"mail", "web"});
  intent.interfaces[0].rate_from_vm = 3 * kGbit;
  const auto ended = update(intent);
  ASSERT_TRUE(ended);
  ASSERT_FALSE(ended->error) << ended->error->message;
  EXPECT_EQ(ended->kind, OperationKind::kUpdate);
  std::vector<std::string> names;
  for (const auto& step : ended->steps) {
    names.push_back(step.name);
    EXPECT_EQ(step.status, StepStatus::kDone) << step.name;
  }
  EXPECT_THAT(names, ElementsAre("admit", "resolve", "stage", "move", "prepare", "verify", "keep", "retire"));
  auto wanted = before.interfaces[0].intent;
  wanted.rates.from_vm = 3 * kGbit;
  wanted.policy_groups = groups({"mail", "web"});
  EXPECT_EQ(now(id).interfaces[0].intent, wanted);
  EXPECT_EQ(ended->result->interfaces[0].intent, wanted);
  EXPECT_EQ(now(id).state, AttachmentState::kAttached);
  EXPECT_NE(etag_of(now(id)), etag_of(before));
  EXPECT_EQ(etag_of(*ended->result), etag_of(now(id)));
  EXPECT_EQ(world.driver.rates.at(0), 3 * kGbit);
  EXPECT_TRUE(world.driver.plugged.contains(0));
  std::set<std::uint64_t> rates;
  for (const auto& [key, rule] : world.eswitch.rules) {
    if (rule.actions.meter && rule.actions.meter->use != dataplane::Meter::Use::kToAgent)
      rates.insert(rule.actions.meter->per_second * 8);
  }
  EXPECT_THAT(rates, ElementsAre(2 * kGbit, 3 * kGbit));
  expect_settled();
  EXPECT_FALSE(world.detach(id, "bye")->error);
}

// Whatever was before.
TEST_F(Updates, TheRulesAreThoseOfAnAttachWithTheNewValues) {
  const auto count_purposes = [&] {
    std::map<std::string_view, std::size_t> counts;
    for (const auto& [key, rule] : world.eswitch.rules) ++counts[dataplane::purpose_name(rule.purpose)];
    return counts;
  };
  std::uint8_t number = 10;
  for (const auto& [from, to] : std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>>{
           {{}, {"web"}}, {{"web"}, {}}, {{"web"}, {"mail"}}, {{"web", "mail"}, {"mail", "web"}}}) {
    const auto anew = attach(++number, to);
    const auto wanted = count_purposes();
    ASSERT_FALSE(world.detach(anew, fmt::format("bye-{}", number))->error);
    const auto updated = attach(++number, from);
    ASSERT_FALSE(update(to_groups(updated, number, to, fmt::format("change-{}", number)))->error);
    EXPECT_EQ(count_purposes(), wanted) << fmt::format("{}", fmt::join(to, ","));
    ASSERT_FALSE(world.detach(updated, fmt::format("bye-{}", number))->error);
  }
}

TEST_F(Updates, AtNoMomentIsAPacketLostOrLetThroughThatBothValuesAgreeOn) {
  const auto id = attach(5, {"web"}, {.from_vm = kGbit});
  attach(6, {});
  std::size_t states = 0;
  world.eswitch.on_change = [&] {
    ++states;
    expect_no_gap();
  };
  UpdateIntent intent = to_groups(id, 5, {"mail"});
  intent.interfaces[0].rate_from_vm = 2 * kGbit;
  intent.interfaces[0].rate_to_vm = kGbit;
  ASSERT_FALSE(update(intent)->error);
  EXPECT_GT(states, 20U);
  EXPECT_FALSE(passes(0, 5, 6, 25));
  EXPECT_TRUE(passes(0, 5, 6, 80));
}

// Whichever rule is refused, and for as long as it is: it is as it was, and at no moment less.
TEST_F(Updates, ARefusedRuleTakesAllOfItBack) {
  const auto id = attach(5, {"web"}, {.from_vm = kGbit});
  attach(6, {});
  const auto before = now(id);
  const auto rules = world.eswitch.rules;
  std::size_t refusals = 0;
  for (int fitting = 0; fitting < 40; ++fitting) {
    world.eswitch.on_change = [&] { expect_no_gap(); };
    bool is_refused = false;
    world.eswitch.refuse_add = [&, left = fitting](const dataplane::Rule&) mutable -> Result<void> {
      if (left-- != 0) return {};
      is_refused = true;
      return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
    };
    UpdateIntent intent = to_groups(id, 5, {"mail"}, fmt::format("change-{}", fitting));
    intent.interfaces[0].rate_from_vm = 2 * kGbit;
    const auto ended = update(intent);
    ASSERT_TRUE(ended);
    world.eswitch.refuse_add = nullptr;
    world.eswitch.on_change = nullptr;
    if (!is_refused) {
      EXPECT_FALSE(ended->error);
      break;
    }
    ++refusals;
    ASSERT_TRUE(ended->error) << fitting;
    EXPECT_EQ(ended->error->reason, "RULE_REFUSED");
    EXPECT_EQ(ended->result->state, AttachmentState::kAttached);
    EXPECT_EQ(etag_of(now(id)), etag_of(before));
    EXPECT_TRUE(world.eswitch.rules == rules) << fitting;
    EXPECT_EQ(world.driver.rates.at(0), kGbit);
    expect_settled();
    if (HasFailure()) return;
  }
  EXPECT_GT(refusals, 10U);
}

// An eSwitch that does not even take what it had: the operation ends when it does.
TEST_F(Updates, WhatCannotBeTakenBackAtOnceIsTakenBackLater) {
  const auto id = attach(5, {"web"});
  attach(6, {});
  const auto rules = world.eswitch.rules;
  bool is_full = false;
  world.eswitch.on_change = [&] { expect_no_gap(); };
  std::size_t refused = 0;
  world.eswitch.refuse_add = [&](const dataplane::Rule& rule) -> Result<void> {
    is_full = is_full || rule.purpose == Purpose::kAdmit;
    if (!is_full) return {};
    ++refused;
    return fail(Code::kResourceExhausted, "ESWITCH_FULL", "told to be full");
  };
  const auto accepted = world.run(world.agent.update(to_groups(id, 5, {"mail"})));
  ASSERT_TRUE(accepted);
  world.run_until([&] { return refused > 3; });
  EXPECT_FALSE(world.run(world.agent.operations().find(accepted->id))->done);
  world.eswitch.refuse_add = nullptr;
  const auto ended = world.run(world.agent.operations().wait(accepted->id));
  EXPECT_EQ(ended->error.value_or(Error()).reason, "ESWITCH_FULL");
  EXPECT_TRUE(world.eswitch.rules == rules);
}

TEST_F(Updates, ARateThatTheHostDoesNotTakeTakesAllOfItBack) {
  const auto id = attach(5, {"web"}, {.from_vm = kGbit});
  const auto rules = world.eswitch.rules;
  world.driver.failing = {"set_rate"};
  UpdateIntent intent = to_groups(id, 5, {"mail"});
  intent.interfaces[0].rate_from_vm = 2 * kGbit;
  const auto ended = update(intent);
  EXPECT_EQ(ended->error.value_or(Error()).reason, "TOLD_TO_FAIL");
  EXPECT_TRUE(world.eswitch.rules == rules);
  EXPECT_EQ(now(id).interfaces[0].intent.rates.from_vm, kGbit);
  world.driver.failing.clear();
  intent.request = RequestId::trusted("again");
  EXPECT_FALSE(update(intent)->error);
  EXPECT_EQ(world.driver.rates.at(0), 2 * kGbit);
}

TEST_F(Updates, WhatTheEswitchHasLostIsNoticedBeforeItIsKept) {
  const auto id = attach(5, {"web"}, {.from_vm = kGbit});
  const auto before = etag_of(now(id));
  for (const Purpose lost : {Purpose::kEgressDeny, Purpose::kAdmit}) {
    world.eswitch.before_read = [&] {
      std::erase_if(world.eswitch.rules, [&](const auto& entry) { return entry.second.purpose == lost; });
    };
    UpdateIntent intent = to_groups(id, 5, {"mail"}, fmt::format("change-{}", static_cast<int>(lost)));
    intent.interfaces[0].rate_from_vm = 2 * kGbit;
    const auto ended = update(intent);
    world.eswitch.before_read = nullptr;
    EXPECT_EQ(ended->error.value_or(Error()).reason, "RULES_DIFFER");
    EXPECT_EQ(etag_of(now(id)), before);
    EXPECT_EQ(world.driver.rates.at(0), kGbit) << "the host had it already";
    (void)world.run(world.agent.resync()).value();
  }
}

TEST_F(Updates, WhoSharesASetKeepsIt) {
  const auto first = attach(5, {"web"});
  attach(6, {"web"});
  attach(7, {"mail"});
  ASSERT_FALSE(update(to_groups(first, 5, {"mail"}))->error);
  EXPECT_FALSE(passes(1, 6, 7, 80)) << "vm-6 is in web still";
  EXPECT_FALSE(passes(1, 6, 7, 25)) << "vm-7 is in mail";
  EXPECT_FALSE(passes(0, 5, 7, 25));
  ASSERT_FALSE(update(to_groups(first, 5, {"web"}, "back"))->error);
  EXPECT_FALSE(passes(0, 5, 6, 80));
  EXPECT_TRUE(passes(0, 5, 6, 25));
  expect_settled();
}

// Of two interfaces one is changed, or both, or none is: all of it.
TEST_F(Updates, InterfacesThatAreNotNamedStayAsTheyAre) {
  auto wanted = make_intent("vm-1", "blue", 5);
  wanted.interfaces.push_back(make_interface("blue", 6));
  for (auto& one : wanted.interfaces) one.policy_groups = groups({"web"});
  const auto id = world.attach(wanted)->attachment;
  ASSERT_FALSE(update(to_groups(id, 6, {"mail"}))->error);
  EXPECT_EQ(now(id).interfaces[0].intent.policy_groups, groups({"web"}));
  EXPECT_EQ(now(id).interfaces[1].intent.policy_groups, groups({"mail"}));
  UpdateIntent both = to_groups(id, 6, {"web"}, "both");
  both.interfaces.push_back(to_groups(id, 5, {"mail"}).interfaces[0]);
  ASSERT_FALSE(update(both)->error);
  EXPECT_EQ(now(id).interfaces[0].intent.policy_groups, groups({"mail"}));
  EXPECT_EQ(now(id).interfaces[1].intent.policy_groups, groups({"web"}));
  expect_settled();
  EXPECT_FALSE(world.detach(id, "bye")->error);
  EXPECT_EQ(world.eswitch.count(Purpose::kAdmit), 0U);
}

}  // namespace
}  // namespace berth::testing
