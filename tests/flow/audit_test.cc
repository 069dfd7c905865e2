// What somebody changes behind the agent's back is found, put right and told once.
#include "base/task_group.h"
#include "tests/flow/agent_world.h"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using dataplane::EswitchPort;
using dataplane::Purpose;
using dataplane::Rule;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Audit : public ::testing::Test {
 protected:
  Audit() {
    world.push({make_vpc("blue", 7001)});
    EXPECT_FALSE(world.attach(world.intent("vm-1", "blue", 5))->error);
    rules_before = world.eswitch.rules;
  }
  void look() { run_until_done(world.io, world.agent.audit()); }
  const agent::AuditReport& report() { return world.agent.audit_report(); }
  // "rules: missing: group 1 ...", with " (not repaired: why)" where it is so.
  std::vector<std::string> findings() {
    std::vector<std::string> lines;
    for (const auto& one : report().findings) {
      lines.push_back(one.part + ": " + one.what +
                      (one.refusal.empty() ? "" : " (not repaired: " + one.refusal + ")"));
    }
    return lines;
  }
  void expect_in_order_again() {
    EXPECT_EQ(world.eswitch.rules, rules_before);
    const auto told = findings().size();
    look();
    EXPECT_EQ(findings().size(), told) << "told once";
    EXPECT_EQ(world.eswitch.rules, rules_before);
  }
  Rule& held(Purpose purpose) {
    for (auto& [key, rule] : world.eswitch.rules) {
      if (rule.purpose == purpose) return rule;
    }
    throw std::logic_error("no such rule");
  }
  dataplane::PortAnswers answers_of(EswitchPort port) {
    for (const auto& state : world.run(world.eswitch.read_slow_path(std::nullopt)).value()) {
      if (state.port == port && state.answers) return *state.answers;
    }
    return {};
  }

  AttachmentId the_attachment() { return world.agent.attachments().list().front().id; }

  AgentWorld world;
  std::map<dataplane::RuleKey, Rule> rules_before;
  const EswitchPort vf0 = EswitchPort::function(0);
  const EswitchPort vf2 = EswitchPort::function(2);
};

TEST_F(Audit, WhereNothingDiffersNothingIsToldChangedOrRead) {
  world.eswitch.most_rules_read = 0;
  world.eswitch.before_apply = []() -> Task<void> {
    ADD_FAILURE() << "nothing is to be changed";
    co_return Result<void>();
  };
  look();
  look();
  EXPECT_EQ(report().runs, 2U);
  EXPECT_EQ(report().found, 0U);
  EXPECT_EQ(world.eswitch.most_rules_read, 0U);
  EXPECT_EQ(report().obstacle, "");
}

// Whatever its purpose, and whoever's it is.
TEST_F(Audit, ARuleThatIsGoneComesBack) {
  std::set<Purpose> purposes;
  for (const auto& [key, rule] : rules_before) purposes.insert(rule.purpose);
  for (const Purpose purpose : purposes) {
    const auto found = report().found;
    world.eswitch.rules.erase(dataplane::RuleKey(held(purpose).key));
    look();
    EXPECT_EQ(report().found, found + 1) << purpose_name(purpose);
    EXPECT_THAT(findings().back(), StartsWith("rules: missing: group "));
    expect_in_order_again();
  }
  EXPECT_EQ(report().repaired, purposes.size());
}

TEST_F(Audit, ARuleWithOtherActionsIsReplaced) {
  held(Purpose::kDeliver).actions.fate = dataplane::Deliver{vf2};
  look();
  ASSERT_EQ(findings().size(), 1U);
  EXPECT_THAT(findings()[0], HasSubstr("rules: instead of group 11"));
  EXPECT_THAT(findings()[0], HasSubstr("represented_port ethdev_port_id 1 / end: group 11"));
  EXPECT_THAT(findings()[0], ::testing::EndsWith("represented_port ethdev_port_id 3 / end"));
  expect_in_order_again();
}

TEST_F(Audit, AForeignRuleOfAVmIsRemoved) {
  Rule foreign = held(Purpose::kAdmit);
  foreign.key.match.ip_src = prefix("10.1.0.0/24");
  world.eswitch.rules.emplace(foreign.key, foreign);
  look();
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("rules: foreign: group 1 ")));
  expect_in_order_again();
}

TEST_F(Audit, AForeignRuleOfTheHostIsRemoved) {
  Rule foreign = held(Purpose::kTerminate);
  foreign.key.match.vni = Vni::trusted(9999);
  world.eswitch.rules.emplace(foreign.key, foreign);
  look();
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("rules: foreign: group 6 ")));
  expect_in_order_again();
}

// Somebody's rules on a function that no attachment has: they go, and a default drop is there from then on.
TEST_F(Audit, AFunctionThatIsNobodysIsIsolated) {
  Rule entry = held(Purpose::kPortEntry);
  for (const auto& [key, rule] : rules_before) {
    if (rule.purpose == Purpose::kPortEntry && rule.owner == vf0) entry = rule;
  }
  entry.key.match.source = vf2;
  entry.owner = vf2;
  Rule open = held(Purpose::kAdmit);
  open.key.match.source = vf2;
  open.owner = vf2;
  world.eswitch.rules.emplace(entry.key, entry);
  world.eswitch.rules.emplace(open.key, open);
  look();
  EXPECT_THAT(findings(), ::testing::Contains("rules: vf2 has rules and is nobody's: isolated"));
  std::vector<Purpose> left;
  for (const auto& [key, rule] : world.eswitch.rules) {
    if (rule.owner == vf2) left.push_back(rule.purpose);
  }
  EXPECT_THAT(left, ElementsAre(Purpose::kPortEntry, Purpose::kSpoofDrop));
  rules_before = world.eswitch.rules;
  expect_in_order_again();

  // It may be leased like any other, and is clean when it is given back.
  ASSERT_FALSE(world.attach(world.intent("vm-2", "blue", 6))->error);
  const auto third = world.attach(world.intent("vm-3", "blue", 7));
  ASSERT_FALSE(third->error);
  look();
  ASSERT_FALSE(world.detach(third->attachment, "bye")->error);
  EXPECT_FALSE(world.eswitch.names(vf2));
  look();
  EXPECT_FALSE(world.eswitch.names(vf2));
}

TEST_F(Audit, AnswersThatAreGoneOrOthersAreSetAgain) {
  const auto wanted = answers_of(vf0);
  ASSERT_TRUE(world.run(world.eswitch.set_answers(vf0, std::nullopt)));
  look();
  EXPECT_EQ(answers_of(vf0), wanted);
  auto other = wanted;
  other.mtu_bytes = 1300;
  ASSERT_TRUE(world.run(world.eswitch.set_answers(vf0, other)));
  look();
  EXPECT_EQ(answers_of(vf0), wanted);
  ASSERT_TRUE(world.run(world.eswitch.set_answers(vf2, wanted)));
  look();
  EXPECT_EQ(answers_of(vf2), dataplane::PortAnswers());
  EXPECT_THAT(findings(), ElementsAre("answers: missing: those of vf0", "answers: others than those of vf0",
                                      "answers: foreign: those of vf2"));
  expect_in_order_again();
}

TEST_F(Audit, ARepairThatIsRefusedIsToldOnceAndTriedAgain) {
  world.eswitch.rules.erase(dataplane::RuleKey(held(Purpose::kAdmit).key));
  std::size_t tries = 0;
  world.eswitch.refuse_add = [&](const Rule&) -> Result<void> {
    ++tries;
    return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
  };
  look();
  look();
  EXPECT_EQ(tries, 2U);
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("not repaired: ")));
  EXPECT_EQ(report().found, 1U);
  EXPECT_EQ(report().repaired, 0U);
  world.eswitch.refuse_add = nullptr;
  look();
  EXPECT_EQ(report().repaired, 1U);
  EXPECT_EQ(report().found, 1U);
  expect_in_order_again();
}

TEST_F(Audit, AForeignRuleThatDoesNotGoIsToldOnceAndTriedAgain) {
  Rule foreign = held(Purpose::kTerminate);
  foreign.key.match.vni = Vni::trusted(9999);
  world.eswitch.rules.emplace(foreign.key, foreign);
  world.eswitch.refuse_remove = Purpose::kTerminate;
  look();
  look();
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("not repaired: ")));
  world.eswitch.refuse_remove.reset();
  look();
  EXPECT_EQ(report().repaired, 1U);
  expect_in_order_again();
}

TEST_F(Audit, WhileTheHolderIsAwayNothingIsDrift) {
  world.eswitch.rules.erase(dataplane::RuleKey(held(Purpose::kAdmit).key));
  world.eswitch.refuse_reads = true;
  look();
  EXPECT_THAT(report().obstacle, HasSubstr("told to be away"));
  EXPECT_EQ(report().found, 0U);
  world.eswitch.refuse_reads = false;
  look();
  EXPECT_EQ(report().obstacle, "");
  EXPECT_EQ(report().repaired, 1U);
  expect_in_order_again();
}

// What the report keeps and what a line may be long are bounded, whatever happens.
TEST_F(Audit, ALotOfDriftIsRepairedAndToldInPart) {
  for (std::uint32_t i = 0; i < 1000; ++i) {
    Rule foreign = held(Purpose::kTerminate);
    foreign.key.match.vni = Vni::trusted(9000 + i);
    world.eswitch.rules.emplace(foreign.key, foreign);
  }
  look();
  EXPECT_EQ(findings().size(), agent::AuditReport::kMaxFindings);
  EXPECT_EQ(findings().back(), "rules: and 744 more");
  expect_in_order_again();
}

TEST_F(Audit, AnAttachMeanwhileIsNoDrift) {
  Signal go_on(world.io.get_executor());
  world.driver.before_plug = [&] { return go_on.wait(); };
  const auto accepted = world.run(world.agent.attach(world.intent("vm-2", "blue", 6)));
  for (int i = 0; i < 20; ++i) look();  // beside its steps
  go_on.notify_all();
  world.driver.before_plug = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(accepted->id))->error);
  look();
  EXPECT_THAT(findings(), IsEmpty());
}

// The look at the answers began before the detach, and ends when the detach has moved the gate and waits for
// it.
TEST_F(Audit, ADetachMeanwhileMakesNoAnswersForeign) {
  Signal go_on(world.io.get_executor());
  bool is_looking = false;
  bool is_let_go = false;
  world.eswitch.before_slow_path_read = [&]() -> Task<void> {
    is_looking = true;
    while (!is_let_go) {
      if (const auto woken = co_await go_on.wait(); !woken) co_return woken;
    }
    co_return Result<void>();
  };
  TaskGroup looks(world.io.get_executor());
  looks.spawn("look", world.agent.audit());
  world.run_until([&] { return is_looking; });
  const AttachmentId id = the_attachment();
  const auto detach = world.run(world.agent.detach({RequestId::trusted("bye"), id}));
  for (int i = 0; i < 20; ++i) world.io.poll();
  ASSERT_FALSE(world.run(world.agent.operations().find(detach->id))->done) << "it waits for nothing";
  is_let_go = true;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(detach->id))->error);
  run_until_done(world.io, looks.join());
  EXPECT_THAT(findings(), IsEmpty());
}

class FakePart : public agent::AuditedPart {
 public:
  std::vector<std::string> drift;
  std::size_t seen_attachments = 0;
  std::string_view name() const override { return "bindings"; }
  Task<std::vector<std::string>> check(std::vector<agent::Attachment> attachments) override {
    seen_attachments = attachments.size();
    co_return drift;
  }
  Task<void> repair(std::vector<agent::Attachment>) override {
    drift.clear();
    co_return Result<void>();
  }
};

TEST_F(Audit, OtherPartsArePluggedIn) {
  FakePart part;
  part.drift = {"vf0 is bound to nothing"};
  world.agent.add_audited_part(part);
  look();
  EXPECT_EQ(part.seen_attachments, 1U);
  EXPECT_THAT(findings(), ElementsAre("bindings: vf0 is bound to nothing"));
  EXPECT_EQ(report().repaired, 1U);
}

// --- the host's side

TEST_F(Audit, AVmThatLostItsFunctionGetsItBack) {
  world.driver.plugged.clear();
  look();
  EXPECT_THAT(findings(), ElementsAre("host: vm-1 runs without vf0"));
  EXPECT_EQ(world.driver.plugged.count(0), 1U);
  expect_in_order_again();
}

TEST_F(Audit, WhatIsBeingDetachedIsNotPutBack) {
  Signal go_on(world.io.get_executor());
  bool is_held = false;
  world.driver.before_unplug = [&]() -> Task<void> {
    is_held = true;
    co_return co_await go_on.wait();
  };
  const auto detach = world.run(world.agent.detach({RequestId::trusted("bye"), the_attachment()}));
  world.run_until([&] { return is_held; });
  world.driver.plugged.clear();
  look();
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_TRUE(world.driver.plugged.empty());
  world.driver.before_unplug = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(detach->id))->error);
}

}  // namespace
}  // namespace berth::testing
