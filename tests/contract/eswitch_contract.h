// What every backend of Eswitch must do, as tests that are instantiated with each. A backend provides
//   struct Backend { static dataplane::Eswitch& eswitch(); };
// with at least two functions and no rules or answers but those that the tests add.
#pragma once

#include "dataplane/eswitch.h"
#include "tests/fakes/run_task.h"

#include <algorithm>
#include <chrono>
#include <thread>

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
  std::vector<dataplane::HeldRule> read(dataplane::RuleFilter which = std::nullopt) {
    return run_until_done(loop(), Backend::eswitch().read_rules(std::move(which))).value();
  }
  Result<void> inject(std::vector<dataplane::InjectedFrame> frames) {
    return run_until_done(loop(), Backend::eswitch().inject(std::move(frames)));
  }
  // What the rule has counted as soon as it is `packets` at least, or what it has after ten seconds.
  dataplane::HeldRule counted(const Rule& rule, std::uint64_t packets) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (true) {
      const auto held = read(std::vector{rule.key});
      if (held.size() != 1) return {};
      if (held[0].packets >= packets || std::chrono::steady_clock::now() > give_up) return held[0];
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  // 60 bytes, of a protocol that nobody has.
  static dataplane::InjectedFrame frame(Port from, std::size_t size = 60) {
    dataplane::InjectedFrame made{.from = from, .bytes = std::vector<std::uint8_t>(size, 0)};
    made.bytes[0] = made.bytes[6] = 2;
    made.bytes[12] = made.bytes[13] = 0x88;
    return made;
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

TYPED_TEST_P(EswitchContract, RulesAreFoundByKey) {
  this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->drop(this->vf1)},
               dataplane::AddRule{this->entry(this->vf1)}});
  const auto key = this->drop(this->vf1).key;
  const auto other = this->entry(this->vf1).key;
  const auto held = this->read(std::vector{key, this->entry(this->vf0).key, other, key});
  ASSERT_EQ(held.size(), 2U) << "each once, and none that is not held";
  EXPECT_EQ(held[0].rule, this->entry(this->vf1)) << "ordered by key";
  EXPECT_EQ(held[1].rule, this->drop(this->vf1));
  EXPECT_TRUE(this->read(std::vector<dataplane::RuleKey>()).empty());
}

TYPED_TEST_P(EswitchContract, InjectedFramesTakeTheRulesOfTheirPort) {
  const dataplane::EswitchPort uplink;
  this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->drop(this->vf1)},
               dataplane::AddRule{this->drop(uplink)}, dataplane::AddRule{this->entry(this->vf0)},
               dataplane::AddRule{this->entry(this->vf1)}, dataplane::AddRule{this->entry(uplink)}});
  const auto injected = this->inject({this->frame(this->vf0), this->frame(this->vf0, 100),
                                      this->frame(uplink), this->frame(this->vf0), this->frame(uplink)});
  ASSERT_TRUE(injected) << injected.error().message;
  EXPECT_EQ(this->counted(this->drop(this->vf0), 3).packets, 3U);
  EXPECT_EQ(this->counted(this->drop(this->vf0), 3).bytes, 220U);
  EXPECT_EQ(this->counted(this->drop(uplink), 2).packets, 2U);
  EXPECT_EQ(this->counted(this->drop(this->vf1), 0).packets, 0U);
}

// Often enough that a flow cache knows them.
TYPED_TEST_P(EswitchContract, InjectedFramesCountEveryTime) {
  this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->entry(this->vf0)}});
  for (std::uint64_t i = 0; i < 5; ++i) {
    const std::vector<dataplane::InjectedFrame> frames(dataplane::kMaxInjectedFrames, this->frame(this->vf0));
    ASSERT_TRUE(this->inject(frames));
    const auto sent = (i + 1) * dataplane::kMaxInjectedFrames;
    ASSERT_EQ(this->counted(this->drop(this->vf0), sent).packets, sent);
  }
}

TYPED_TEST_P(EswitchContract, WrongFramesAreRefusedAsAWhole) {
  this->apply({dataplane::AddRule{this->drop(this->vf0)}, dataplane::AddRule{this->entry(this->vf0)}});
  const auto refusal = [this](dataplane::InjectedFrame wrong) {
    const auto refused = this->inject({this->frame(this->vf0), std::move(wrong)});
    return refused ? "taken" : refused.error().reason;
  };
  EXPECT_EQ(refusal(this->frame(dataplane::EswitchPort::function(999))), "PORT_UNKNOWN");
  EXPECT_EQ(refusal(this->frame(this->vf0, dataplane::kMaxInjectedBytes + 1)), "FRAME_SIZE");
  EXPECT_EQ(refusal({.from = this->vf0, .bytes = std::vector<std::uint8_t>(13)}), "FRAME_SIZE");
  const auto too_many = this->inject(
      std::vector<dataplane::InjectedFrame>(dataplane::kMaxInjectedFrames + 1, this->frame(this->vf0)));
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().reason, "TOO_MANY_FRAMES");

  EXPECT_TRUE(this->inject({this->frame(this->vf0)}));  // behind all that may have got in
  EXPECT_EQ(this->counted(this->drop(this->vf0), 1).packets, 1U);
}

TYPED_TEST_P(EswitchContract, DiscountsEndWithTheRule) {
  auto rule = this->drop(this->vf0);
  this->apply({dataplane::AddRule{rule}, dataplane::AddRule{this->entry(this->vf0)}});
  ASSERT_TRUE(this->inject({this->frame(this->vf0), this->frame(this->vf0), this->frame(this->vf0)}));
  ASSERT_EQ(this->counted(rule, 3).packets, 3U);
  const auto digests = run_until_done(loop(), TypeParam::eswitch().read_digests()).value();
  EXPECT_TRUE(this->apply({dataplane::DiscountRule{rule.key, 2, 120}}).front());
  EXPECT_EQ(this->counted(rule, 0).packets, 1U);
  EXPECT_EQ(this->counted(rule, 0).bytes, 60U);
  EXPECT_EQ(run_until_done(loop(), TypeParam::eswitch().read_digests()).value(), digests);
  ASSERT_TRUE(this->inject({this->frame(this->vf0)}));
  EXPECT_EQ(this->counted(rule, 2).packets, 2U);

  this->apply({dataplane::RemoveRule{rule.key}, dataplane::AddRule{rule}});
  EXPECT_EQ(this->counted(rule, 0).packets, 0U);
  ASSERT_TRUE(this->inject({this->frame(this->vf0)}));
  EXPECT_EQ(this->counted(rule, 1).packets, 1U);
  EXPECT_TRUE(this->apply({dataplane::DiscountRule{this->drop(this->vf1).key, 2, 120}}).front());
}

// Who pays for what a VM sends does not begin anew with another rate.
TYPED_TEST_P(EswitchContract, AReplacementGoesOnCounting) {
  auto rule = this->drop(this->vf0);
  this->apply({dataplane::AddRule{rule}, dataplane::AddRule{this->entry(this->vf0)}});
  ASSERT_TRUE(this->inject({this->frame(this->vf0), this->frame(this->vf0), this->frame(this->vf0)}));
  ASSERT_EQ(this->counted(rule, 3).packets, 3U);
  EXPECT_TRUE(this->apply({dataplane::DiscountRule{rule.key, 1, 60}}).front());
  for (std::uint16_t to = 2; to <= 3; ++to) {
    rule.actions = {.count = true, .fate = dataplane::JumpTo{to}};
    EXPECT_TRUE(this->apply({dataplane::AddRule{rule}}).front());
    EXPECT_EQ(this->counted(rule, to).packets, to);
    EXPECT_EQ(this->counted(rule, to).bytes, to * 60U);
    ASSERT_TRUE(this->inject({this->frame(this->vf0)}));
    EXPECT_EQ(this->counted(rule, to + 1U).packets, to + 1U);
  }
}

REGISTER_TYPED_TEST_SUITE_P(EswitchContract, ReadsBackWhatWasAdded, AddingAndRemovingAreIdempotent,
                            AddingOverOtherActionsReplaces, ARefusedReplacementLeavesTheOldOne,
                            ARefusedRuleLeavesTheOthersStanding, RulesAreFoundByOwner,
                            PortsAreTheUplinkThenTheFunctions, AnswersAreHeldByPortUntilTheyAreTakenBack,
                            RefusedAnswersLeaveTheOldOnes, OnlyFunctionsThatExistAreAnswered,
                            DigestsAreThoseOfTheRulesThatAreHeld, RulesAreFoundByKey,
                            InjectedFramesTakeTheRulesOfTheirPort, InjectedFramesCountEveryTime,
                            WrongFramesAreRefusedAsAWhole, DiscountsEndWithTheRule,
                            AReplacementGoesOnCounting);

}  // namespace berth::testing
