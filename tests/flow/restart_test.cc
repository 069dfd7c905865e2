// berthd dies and comes back: on a state database on the disk, beside an eSwitch that has gone on without it.
#include "agent/reboot.h"
#include "tests/fakes/intents.h"
#include "tests/fakes/test_folder.h"
#include "tests/flow/agent_world.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using dataplane::Purpose;
using ::testing::ElementsAre;

// What outlives a process: the disk, the eSwitch and the functions.
struct Host {
  TestFolder folder{"restart"};
  FakeEswitch eswitch{AgentWorld::kFunctions};
  FakeDriver driver;
};

// One life of berthd.
class Life {
 public:
  explicit Life(Host& host)
      : state(agent::StateDb::open(host.folder.path()).value()),
        agent(io.get_executor(), host.eswitch, host.driver, AgentWorld::make_functions(), state,
              {.underlay = {.vtep = ip("192.0.2.1"), .mac = mac("02:00:00:00:ff:01")},
               .vpc_wait = std::chrono::milliseconds(0),
               .quarantine_interval = std::chrono::milliseconds(1)}) {}
  ~Life() { run_until_done(io, agent.stop()); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  template <typename T>
  T run(asio::awaitable<T> task) {
    return run_until_done(io, std::move(task));
  }
  Result<agent::Adoption> start() { return run(agent.start(state.load().value())); }
  void push(const std::vector<dataplane::Vpc>& vpcs, std::uint64_t version) {
    EXPECT_TRUE(run(agent.push_vpcs({.vpcs = make_vpcs(vpcs), .version = version})).value().empty());
  }
  agent::Operation attach(const std::string& vm, std::uint8_t last_octet) {
    const auto accepted = run(agent.attach(intent(vm, last_octet))).value();
    return run(agent.operations().wait(accepted.id)).value();
  }
  static agent::AttachIntent intent(const std::string& vm, std::uint8_t last_octet) {
    return make_intent(vm, "blue", last_octet);
  }
  void set_up() {
    ASSERT_TRUE(start());
    EXPECT_TRUE(run(agent.set_next_hops({{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}})));
    auto blue = make_vpc("blue", 7001);
    push({blue}, 7);
    blue.policy.push_back({dataplane::Direction::kIngress, 5, dataplane::Verdict::kDeny, std::nullopt,
                           std::nullopt, std::nullopt});
    push({blue}, 8);  // a second version of the policy
    EXPECT_FALSE(attach("vm-1", 5).error);
  }

  asio::io_context io;
  agent::StateDb state;
  agent::Agent agent;
};

// Guests of VMs that start with the host may be on their sockets before berthd runs.
TEST(Restart, ARebootLosesNothingButRulesOfAVhostUserPort) {
  Host host;
  {
    Life life(host);
    life.set_up();
    ASSERT_TRUE(life.run(life.state.save_boot("boot-1", {})));
  }
  const auto rules = host.eswitch.rules;
  host.eswitch.start_anew();
  std::size_t touched = 0;
  host.driver.on_change = [&] { ++touched; };
  {
    Life life(host);
    auto saved = life.state.load().value();
    agent::begin_boot(saved, "boot-2");
    EXPECT_TRUE(saved.is_rebooted());
    ASSERT_TRUE(life.run(life.agent.start(std::move(saved))));
    EXPECT_EQ(life.agent.attachments().list().at(0).state, AttachmentState::kAttached);
  }
  EXPECT_EQ(touched, 0U);
  EXPECT_EQ(host.eswitch.rules, rules);
  EXPECT_EQ(Life(host).state.load()->boot, "boot-2");
}

TEST(Restart, WhatWasAttachedIsAttachedAndNoRuleIsTouched) {
  Host host;
  {
    Life(host).set_up();
  }
  const auto rules = host.eswitch.rules;
  std::size_t changes = 0;
  host.eswitch.on_change = [&] { ++changes; };
  Life life(host);
  const auto adopted = life.start();
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ(changes, 0U);
  EXPECT_EQ(adopted->wanted_count, rules.size());
  EXPECT_EQ(adopted->read_count, 0U) << "the digests say that nothing differs";
  ASSERT_EQ(life.agent.attachments().list().size(), 1U);
  EXPECT_EQ(life.agent.attachments().list()[0].state, AttachmentState::kAttached);
  EXPECT_EQ(life.agent.vpcs().version(), 8U);
  EXPECT_FALSE(life.attach("vm-2", 6).error);
  EXPECT_EQ(life.agent.attachments().list()[1].interfaces[0].function.index +
                life.agent.attachments().list()[0].interfaces[0].function.index,
            1)
      << "another function than vm-1's";
}

TEST(Restart, OnlyTheDifferenceIsChanged) {
  Host host;
  {
    Life(host).set_up();
  }
  const auto wanted = host.eswitch.rules;
  // One rule is gone, one does something else, and two are nobody's.
  const auto vf0 = dataplane::EswitchPort::function(0);
  std::erase_if(host.eswitch.rules,
                [](const auto& entry) { return entry.second.purpose == Purpose::kMapping; });
  for (auto& [key, rule] : host.eswitch.rules) {
    if (rule.purpose == Purpose::kDeliver) rule.actions.fate = dataplane::Drop{};
  }
  for (const auto owner : {vf0, dataplane::EswitchPort::function(2), dataplane::EswitchPort::uplink()}) {
    const dataplane::Rule stray{.key = {9, 77, {.source = owner}}, .owner = owner};
    host.eswitch.rules.emplace(stray.key, stray);
  }
  ASSERT_NE(host.eswitch.rules, wanted);
  Life life(host);
  const auto adopted = life.start().value();
  // A function that had rules and no attachment keeps a default drop.
  auto isolated = wanted;
  for (const auto& rule : dataplane::compile_closed(dataplane::EswitchPort::function(2)))
    isolated.emplace(rule.key, rule);
  EXPECT_EQ(host.eswitch.rules, isolated);
  EXPECT_EQ(adopted.isolated.size(), 1U);
  EXPECT_EQ(adopted.added_count, 2U + 2U);
  EXPECT_EQ(adopted.removed_count, 3U);
}

TEST(Restart, AnswersOfPortsAreAdoptedAndThoseOfNobodyGo) {
  Host host;
  {
    Life(host).set_up();
  }
  const auto answers =
      run_until_done(*std::make_unique<asio::io_context>(), host.eswitch.read_slow_path(std::nullopt))
          .value();
  asio::io_context io;
  EXPECT_TRUE(
      run_until_done(io, host.eswitch.set_answers(dataplane::EswitchPort::function(2), answers[1].answers)));
  Life life(host);
  EXPECT_TRUE(life.start());
  const auto now = life.run(host.eswitch.read_slow_path(std::nullopt)).value();
  EXPECT_EQ(now[1].answers, answers[1].answers);
  EXPECT_TRUE(now[1].answers);
  EXPECT_FALSE(now[3].answers);
}

TEST(Restart, ARetryFindsTheOperationOfTheFormerProcess) {
  Host host;
  OperationId before;
  {
    Life life(host);
    life.set_up();
    before = life.run(life.agent.attach(Life::intent("vm-1", 5)))->id;
  }
  Life life(host);
  ASSERT_TRUE(life.start());
  const auto retried = life.run(life.agent.attach(Life::intent("vm-1", 5)));
  ASSERT_TRUE(retried) << retried.error().message;
  EXPECT_EQ(retried->id, before);
  EXPECT_TRUE(retried->done);
  const auto other = life.run(life.agent.attach(Life::intent("vm-1", 6)));
  EXPECT_EQ(other.error().reason, "REQUEST_ID_REUSED") << "another intent under the same id";
}

agent::SavedAttachment halfway(AttachmentState state, std::uint16_t function) {
  agent::AttachIntent intent = Life::intent("vm-9", 9);
  agent::InterfaceIntent interface = intent.interfaces.front();
  interface.mtu_bytes = 1400;
  return {.attachment = {.id = AttachmentId::trusted("att-9"),
                         .vm = intent.vm,
                         .interfaces = {{.intent = interface, .function = {.index = function}}},
                         .state = state},
          .operation = OperationId::trusted("op-9"),
          .request = intent.request,
          .fingerprint = agent::fingerprint(intent)};
}

TEST(Restart, AHalfWayAttachIsFinished) {
  Host host;
  {
    Life life(host);
    life.set_up();
    ASSERT_TRUE(life.run(life.state.save(halfway(AttachmentState::kAttaching, 2))));
  }
  Life life(host);
  ASSERT_TRUE(life.start());
  const auto ended = life.run(life.agent.operations().wait(OperationId::trusted("op-9")));
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_FALSE(ended->error);
  EXPECT_EQ(life.agent.attachments().get(AttachmentId::trusted("att-9"))->state, AttachmentState::kAttached);
  EXPECT_TRUE(host.driver.plugged.contains(2));
  EXPECT_GT(host.eswitch.count(Purpose::kDeliver), 1U);
}

TEST(Restart, AHalfWayDetachIsFinished) {
  Host host;
  {
    Life life(host);
    life.set_up();
    ASSERT_TRUE(life.run(life.state.save(halfway(AttachmentState::kDetaching, 2))));
    host.driver.plugged.emplace(2, VmId::trusted("vm-9"));
  }
  {
    Life life(host);
    ASSERT_TRUE(life.start());
    const auto ended = life.run(life.agent.operations().wait(OperationId::trusted("op-9")));
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_FALSE(ended->error);
    EXPECT_FALSE(life.agent.attachments().get(AttachmentId::trusted("att-9")));
    EXPECT_FALSE(host.driver.plugged.contains(2));
    EXPECT_FALSE(host.eswitch.names(dataplane::EswitchPort::function(2)));
  }
  Life life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(life.agent.attachments().list().size(), 1U) << "its row is gone";
}

TEST(Restart, AQuarantinedFunctionStaysOutOfUseWithItsDefaultDrop) {
  Host host;
  host.driver.failing.insert("reset");
  {
    Life life(host);
    life.set_up();
    const auto id = life.agent.attachments().list()[0].id;
    const auto accepted = life.run(life.agent.detach({RequestId::trusted("req-detach"), id})).value();
    (void)life.run(life.agent.operations().wait(accepted.id));
    ASSERT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kQuarantined);
  }
  const auto rules = host.eswitch.rules;
  Life life(host);
  ASSERT_TRUE(life.start());
  ASSERT_EQ(life.agent.attachments().list().size(), 1U);
  EXPECT_EQ(life.agent.attachments().list()[0].state, AttachmentState::kQuarantined);
  EXPECT_EQ(host.eswitch.rules, rules);
}

TEST(Restart, AnEmptyStateBesideVmsRulesIsRefused) {
  Host host;
  {
    Life(host).set_up();
  }
  const auto rules = host.eswitch.rules;
  std::filesystem::remove_all(host.folder.path());
  Life life(host);
  const auto started = life.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason, "STATE_IS_ANOTHERS");
  EXPECT_EQ(host.eswitch.rules, rules);
}

TEST(Restart, AFunctionThatIsNotThereAnyMoreIsNamed) {
  Host host;
  {
    Life life(host);
    life.set_up();
    ASSERT_TRUE(life.run(life.state.save(halfway(AttachmentState::kAttached, 40))));
  }
  Life life(host);
  EXPECT_EQ(life.start().error().reason, "FUNCTION_UNKNOWN");
}

TEST(Resync, AnEswitchThatLostItsRulesGetsThemAllBack) {
  Host host;
  Life life(host);
  life.set_up();
  const auto rules = host.eswitch.rules;
  host.eswitch.rules.clear();
  ++host.eswitch.epoch_now;
  const auto adopted = life.run(life.agent.resync());
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->added_count, rules.size());
  EXPECT_EQ(host.eswitch.rules, rules);
}

TEST(Resync, WhatEachFunctionHasLostIsFoundAndNothingElseIsTouched) {
  Host host;
  Life life(host);
  life.set_up();
  EXPECT_FALSE(life.attach("vm-2", 6).error);
  const auto rules = host.eswitch.rules;
  const auto owned_by = [](std::uint16_t function) {
    return [port = dataplane::EswitchPort::function(function)](const auto& entry) {
      return entry.second.owner == port;
    };
  };
  const auto lost = std::erase_if(host.eswitch.rules, owned_by(0));
  ASSERT_GT(lost, 1U);
  const auto one = std::ranges::find_if(host.eswitch.rules, owned_by(1));
  ASSERT_NE(one, host.eswitch.rules.end());
  host.eswitch.rules.erase(one);
  ++host.eswitch.epoch_now;
  const auto adopted = life.run(life.agent.resync());
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->added_count, lost + 1);
  EXPECT_EQ(adopted->removed_count, 0U);
  EXPECT_EQ(host.eswitch.rules, rules);
}

// Before the resync has had its turn, a change must not start from what was there before.
TEST(Resync, AChangeAfterANewEpochStartsFromWhatIsReallyHeld) {
  Host host;
  Life life(host);
  life.set_up();
  host.eswitch.rules.clear();
  ++host.eswitch.epoch_now;
  auto more = *life.agent.vpcs().find(VpcId::trusted("blue"));
  const auto mappings = more.mappings.size();
  more.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.2")});
  life.push({more}, 9);
  EXPECT_EQ(host.eswitch.count(Purpose::kMapping), mappings + 1) << "the ones that were lost, too";
  const auto adopted = life.run(life.agent.resync());
  ASSERT_TRUE(adopted);
  EXPECT_GT(adopted->added_count, 0U) << "the host's, which no push touches";
  EXPECT_EQ(life.run(life.agent.resync())->added_count, 0U);
}

// An apply() that broke off may have done all of it, a part, or nothing.
TEST(Resync, AfterAChangeThatBrokeOffTheEswitchIsReadAgain) {
  Host host;
  Life life(host);
  life.set_up();
  auto other = make_vpc("blue", 7001);
  other.mappings.clear();
  const auto before = host.eswitch.rules;
  host.eswitch.before_apply = [&host]() -> Task<void> {
    std::erase_if(host.eswitch.rules,
                  [](const auto& entry) { return entry.second.purpose == Purpose::kMapping; });
    co_return fail(Code::kUnavailable, "ESWITCH_AWAY", "it broke off");
  };
  const auto errors = life.run(life.agent.push_vpcs({.vpcs = make_vpcs({other}), .version = 9})).value();
  EXPECT_FALSE(errors.empty());
  ASSERT_NE(host.eswitch.rules, before);
  host.eswitch.before_apply = nullptr;
  auto more = *life.agent.vpcs().find(VpcId::trusted("blue"));
  more.mappings.push_back({ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.2")});
  life.push({more}, 9);
  for (const auto& [key, rule] : before) EXPECT_TRUE(host.eswitch.rules.contains(key));
}

}  // namespace
}  // namespace berth::testing
