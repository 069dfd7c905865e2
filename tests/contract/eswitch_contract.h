// What every backend of Eswitch must do, as tests that are instantiated with each. A backend provides
//   struct Backend { static dataplane::Eswitch& eswitch(); };
// with at least two functions and no rules or answers but those that the tests add.
#pragma once

#include "dataplane/eswitch.h"
#include "tests/fakes/run_task.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace berth::testing {

// The loop of all tests. A backend with threads asks for it before it starts them: what is made first dies
// last, and its threads may touch the loop until they end.
inline asio::io_context& loop() {
  static asio::io_context instance;
  return instance;
}

template <typename Backend>
class EswitchContract : public ::testing::Test {
 protected:
  using Rule = dataplane::Rule;
  using Port = dataplane::EswitchPort;

  std::vector<Result<void>> apply(std::vector<dataplane::RuleChange> changes) {
    return run_until_done(loop(), Backend::eswitch().apply(std::move(changes))).value();
  }
  std::vector<dataplane::HeldRule> read(std::optional<Port> owner = std::nullopt) {
    return run_until_done(loop(), Backend::eswitch().read_rules(owner)).value();
  }
  std::vector<dataplane::PortState> read_ports() {
    return run_until_done(loop(), Backend::eswitch().read_ports()).value();
  }

  static Rule entry(Port port) {
    return {.key = {0, 0, {.source = port}}, .actions = {.fate = dataplane::JumpTo{1}}, .owner = port};
  }
  static Rule drop(Port port, std::uint32_t priority = 10000) {
    return {.key = {1, priority, {.source = port}},
            .actions = {.count = true, .fate = dataplane::Drop{}},
            .purpose = dataplane::Purpose::kSpoofDrop,
            .owner = port};
  }

  Result<void> set_answers(Port port, std::optional<dataplane::PortAnswers> answers) {
    return run_until_done(loop(), Backend::eswitch().set_answers(port, std::move(answers)));
  }
  std::vector<dataplane::SlowPathState> read_slow_path(
      std::optional<dataplane::EswitchPort> only = std::nullopt) {
    return run_until_done(loop(), Backend::eswitch().read_slow_path(only)).value();
  }
  static dataplane::PortAnswers answers_of(std::uint8_t last_byte) {
    return {.vm_mac = {{2, 0, 0, 0, 1, last_byte}},
            .gateway_mac = {{2, 0, 0, 0, 0, 0xFE}},
            .addresses = {{.ip = IpAddress::v4(0x0A010000U + last_byte),
                           .subnet = IpPrefix::parse("subnet", "10.1.0.0/24").value(),
                           .gateway = IpAddress::v4(0x0A010001)}}};
  }

  void TearDown() override {
    for (const auto& state : read_slow_path()) EXPECT_TRUE(set_answers(state.port, std::nullopt));
    std::vector<dataplane::RuleChange> changes;
    for (const auto& held : read()) changes.emplace_back(dataplane::RemoveRule{held.rule.key});
    for (const auto& outcome : apply(changes)) EXPECT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(read().empty());
  }

  const Port vf0 = Port::function(0);
  const Port vf1 = Port::function(1);
};

TYPED_TEST_SUITE_P(EswitchContract);

TYPED_TEST_P(EswitchContract, ReadsBackWhatWasAdded) {
  const auto outcomes =
      this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->entry(this->vf0)}});
  ASSERT_EQ(outcomes.size(), 2U);
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome) << outcome.error().message;
  const auto held = this->read();
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[0].rule, this->entry(this->vf0)) << "ordered by key";
  EXPECT_EQ(held[1].rule, this->drop(this->vf0));
  EXPECT_EQ(held[1].packets, 0U);
}

TYPED_TEST_P(EswitchContract, AddingAndRemovingAreIdempotent) {
  const auto rule = this->drop(this->vf0);
  for (const auto& outcome : this->apply({dataplane::AddRule{rule}, dataplane::AddRule{rule}}))
    EXPECT_TRUE(outcome);
  EXPECT_EQ(this->read().size(), 1U);
  for (const auto& outcome : this->apply({dataplane::RemoveRule{rule.key}, dataplane::RemoveRule{rule.key}}))
    EXPECT_TRUE(outcome);
  EXPECT_TRUE(this->read().empty());
}

TYPED_TEST_P(EswitchContract, AddingOverOtherActionsReplaces) {
  auto rule = this->drop(this->vf0);
  this->apply({dataplane::AddRule{rule}});
  rule.actions = {.count = true, .fate = dataplane::JumpTo{2}};
  EXPECT_TRUE(this->apply({dataplane::AddRule{rule}}).front());
  ASSERT_EQ(this->read().size(), 1U);
  EXPECT_EQ(this->read()[0].rule.actions, rule.actions);
}

TYPED_TEST_P(EswitchContract, ARefusedReplacementLeavesTheOldOne) {
  auto rule = this->drop(this->vf0);
  this->apply({dataplane::AddRule{rule}});
  auto other = rule;
  other.actions = {.fate = dataplane::JumpTo{1}};  // back into its own group
  EXPECT_FALSE(this->apply({dataplane::AddRule{other}}).front());
  ASSERT_EQ(this->read().size(), 1U);
  EXPECT_EQ(this->read()[0].rule, rule);
}

TYPED_TEST_P(EswitchContract, ARefusedRuleLeavesTheOthersStanding) {
  auto backwards = this->drop(this->vf0);
  backwards.key.group = 3;
  backwards.actions = {.fate = dataplane::JumpTo{2}};
  const auto outcomes = this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{backwards},
                                     dataplane::AddRule{this->drop(this->vf1)}});
  ASSERT_EQ(outcomes.size(), 3U);
  EXPECT_TRUE(outcomes[0]);
  ASSERT_FALSE(outcomes[1]);
  EXPECT_EQ(outcomes[1].error().code, Code::kHardwareRejected);
  EXPECT_TRUE(outcomes[2]);
  EXPECT_EQ(this->read().size(), 2U);
}

TYPED_TEST_P(EswitchContract, RulesAreFoundByOwner) {
  this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->drop(this->vf1)}});
  ASSERT_EQ(this->read(this->vf1).size(), 1U);
  EXPECT_EQ(this->read(this->vf1)[0].rule.key.match.source, this->vf1);
}

TYPED_TEST_P(EswitchContract, DigestsAreThoseOfTheRulesThatAreHeld) {
  auto rule = this->drop(this->vf0);
  const auto digest = [&] { return run_until_done(loop(), TypeParam::eswitch().read_digests()).value(); };
  EXPECT_TRUE(digest().empty());
  this->apply({dataplane::AddRule{rule}, dataplane::AddRule{this->drop(this->vf1)},
               dataplane::AddRule{this->entry(this->vf0)}});
  dataplane::RuleDigests wanted;
  for (const auto& held : this->read()) wanted.add(held.rule);
  EXPECT_EQ(digest(), wanted.list());
  ASSERT_EQ(digest().size(), 3U) << "vf0 in two groups, vf1 in one";
  const auto before = digest();
  rule.actions = {.count = true, .fate = dataplane::JumpTo{2}};
  this->apply({dataplane::AddRule{rule}});
  EXPECT_NE(digest(), before) << "same key, other actions";
  this->apply({dataplane::AddRule{this->drop(this->vf0)}});
  EXPECT_EQ(digest(), before);
}

TYPED_TEST_P(EswitchContract, PortsAreTheUplinkThenTheFunctions) {
  const auto ports = this->read_ports();
  ASSERT_GE(ports.size(), 3U);
  EXPECT_TRUE(ports[0].port.is_uplink());
  EXPECT_EQ(ports[1].port, this->vf0);
  EXPECT_EQ(ports[2].port, this->vf1);
  EXPECT_NE(ports[1].ethdev_port_id, ports[2].ethdev_port_id);
}

TYPED_TEST_P(EswitchContract, AnswersAreHeldByPortUntilTheyAreTakenBack) {
  EXPECT_TRUE(this->set_answers(this->vf0, this->answers_of(5)));
  EXPECT_TRUE(this->set_answers(this->vf1, this->answers_of(6)));
  EXPECT_TRUE(this->set_answers(this->vf1, this->answers_of(7)));
  EXPECT_TRUE(this->set_answers(this->vf1, this->answers_of(7)));
  auto states = this->read_slow_path();
  ASSERT_EQ(states.size(), this->read_ports().size());
  EXPECT_TRUE(states[0].port.is_uplink());
  EXPECT_EQ(states[0].answers, std::nullopt);
  EXPECT_EQ(states[1].answers, this->answers_of(5));
  EXPECT_EQ(states[2].answers, this->answers_of(7));

  EXPECT_TRUE(this->set_answers(this->vf0, std::nullopt));
  EXPECT_TRUE(this->set_answers(this->vf0, std::nullopt));
  states = this->read_slow_path();
  EXPECT_EQ(states[1].answers, std::nullopt);
  EXPECT_EQ(states[2].answers, this->answers_of(7));

  states = this->read_slow_path(this->vf1);
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].port, this->vf1);
  EXPECT_EQ(states[0].answers, this->answers_of(7));
}

TYPED_TEST_P(EswitchContract, RefusedAnswersLeaveTheOldOnes) {
  EXPECT_TRUE(this->set_answers(this->vf0, this->answers_of(5)));
  auto wrong = this->answers_of(6);
  wrong.mtu_bytes = 20;
  const auto refused = this->set_answers(this->vf0, wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().reason, "MTU_OUT_OF_RANGE");
  EXPECT_EQ(this->read_slow_path()[1].answers, this->answers_of(5));
}

TYPED_TEST_P(EswitchContract, OnlyFunctionsThatExistAreAnswered) {
  const auto uplink = this->set_answers(dataplane::EswitchPort::uplink(), this->answers_of(5));
  ASSERT_FALSE(uplink);
  EXPECT_EQ(uplink.error().reason, "PORT_IS_UPLINK");
  const auto unknown = this->set_answers(dataplane::EswitchPort::function(999), this->answers_of(5));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
}

REGISTER_TYPED_TEST_SUITE_P(EswitchContract, ReadsBackWhatWasAdded, AddingAndRemovingAreIdempotent,
                            AddingOverOtherActionsReplaces, ARefusedReplacementLeavesTheOldOne,
                            ARefusedRuleLeavesTheOthersStanding, RulesAreFoundByOwner,
                            PortsAreTheUplinkThenTheFunctions, AnswersAreHeldByPortUntilTheyAreTakenBack,
                            RefusedAnswersLeaveTheOldOnes, OnlyFunctionsThatExistAreAnswered,
                            DigestsAreThoseOfTheRulesThatAreHeld);

}  // namespace berth::testing
