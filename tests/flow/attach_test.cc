#include "tests/flow/agent_world.h"
#include "tests/flow/crash_world.h"

#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::StepStatus;
using dataplane::EswitchPort;
using dataplane::Purpose;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> names_of(const std::vector<agent::StepRecord>& steps) {
  std::vector<std::string> names;
  for (const auto& step : steps) names.emplace_back(step.name);
  return names;
}

TEST(Attach, TakesEveryStepAndOpensThePort) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto operation = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(operation);
  EXPECT_FALSE(operation->error);
  EXPECT_THAT(names_of(operation->steps), ElementsAre("admit", "resolve", "close", "program", "prepare",
                                                      "expose", "probe", "bind", "plug", "verify"));
  EXPECT_EQ(operation->result->state, AttachmentState::kAttached);
  EXPECT_EQ(operation->result->interfaces[0].intent.mtu_bytes, 1450U);
  EXPECT_EQ(world.eswitch.count(Purpose::kAdmit), 1U);
  EXPECT_EQ(world.eswitch.count(Purpose::kMapping), 1U);
  EXPECT_TRUE(world.driver.plugged.contains(0));
}

TEST(Attach, DefaultDropIsThereBeforeAnythingElseOfThePort) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  bool always_closed = true;
  const auto port = EswitchPort::function(0);
  world.eswitch.on_change = [&] {
    if (world.eswitch.names(port))
      always_closed = always_closed && world.eswitch.count(Purpose::kSpoofDrop) == 1;
  };
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(world.detach(attached->attachment, "bye"));
  EXPECT_TRUE(always_closed);
  EXPECT_FALSE(world.eswitch.names(port));
}

TEST(Attach, TwoVmsOfOneVpcReachEachOtherAndNobodyElse) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001), make_vpc("green", 7002)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  ASSERT_TRUE(world.attach(world.intent("vm-2", "blue", 6)));
  ASSERT_TRUE(world.attach(world.intent("vm-3", "green", 6)));
  EXPECT_EQ(world.eswitch.count(Purpose::kLocalMapping), 3U);
  // The only way from one VM to another is a mapping in the sender's VPC.
  for (const auto& [key, rule] : world.eswitch.rules) {
    if (rule.purpose != Purpose::kLocalMapping) continue;
    EXPECT_EQ(key.match.tag, rule.owner == EswitchPort::function(2) ? 7002U : 7001U);
    EXPECT_EQ(rule.actions.set_tag, rule.owner.number());
  }
}

TEST(Attach, TheSameRequestAgainIsTheSameOperation) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto intent = world.intent("vm-1", "blue", 5);
  const auto first = world.attach(intent);
  const auto second = world.attach(intent);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->id, second->id);
  EXPECT_EQ(world.agent.attachments().list().size(), 1U);
}

TEST(Attach, ARequestIdIsNotUsedForTwoThings) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  auto intent = world.intent("vm-1", "blue", 5);
  ASSERT_TRUE(world.attach(intent));
  intent.interfaces[0].ips = {ip("10.1.0.77")};
  const auto reused = world.attach(intent);
  ASSERT_FALSE(reused);
  EXPECT_EQ(reused.error().reason, "REQUEST_ID_REUSED");
}

struct Refusal {
  std::string name;
  std::function<void(agent::AttachIntent&)> spoil;
  Code code;
  std::string reason;
};
class AttachRefuses : public ::testing::TestWithParam<Refusal> {};

TEST_P(AttachRefuses, AndNothingIsApplied) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  ASSERT_TRUE(world.attach(world.intent("vm-1", "blue", 5)));
  const auto rules_before = world.eswitch.rules;
  auto intent = world.intent("vm-2", "blue", 6);
  GetParam().spoil(intent);
  const auto refused = world.attach(intent);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, GetParam().code);
  EXPECT_EQ(refused.error().reason, GetParam().reason);
  EXPECT_EQ(world.eswitch.rules, rules_before);
  EXPECT_EQ(world.agent.attachments().list().size(), 1U);
  // The function, the address and the request id are still free.
  EXPECT_TRUE(world.attach(world.intent("vm-2", "blue", 6)));
}

INSTANTIATE_TEST_SUITE_P(
    BadIntents, AttachRefuses,
    ::testing::Values(
        Refusal{"UnknownVpc", [](auto& i) { i.interfaces[0].vpc = VpcId::trusted("red"); }, Code::kNotFound,
                "VPC_UNKNOWN"},
        Refusal{"IpOutsideSubnet", [](auto& i) { i.interfaces[0].ips = {ip("10.2.0.5")}; },
                Code::kInvalidArgument, "IP_OUTSIDE_SUBNET"},
        Refusal{"IpOfTheGateway", [](auto& i) { i.interfaces[0].ips = {ip("10.1.0.1")}; },
                Code::kInvalidArgument, "IP_RESERVED"},
        Refusal{"IpTakenOnThisHost", [](auto& i) { i.interfaces[0].ips = {ip("10.1.0.5")}; },
                Code::kAlreadyExists, "IP_TAKEN"},
        Refusal{"IpTakenOnAnotherHost", [](auto& i) { i.interfaces[0].ips = {ip("10.1.0.200")}; },
                Code::kAlreadyExists, "IP_TAKEN"},
        Refusal{"MacTakenOnThisHost", [](auto& i) { i.interfaces[0].mac = mac("02:00:00:00:01:05"); },
                Code::kAlreadyExists, "MAC_TAKEN"},
        Refusal{"MacTakenOnAnotherHost", [](auto& i) { i.interfaces[0].mac = mac("02:00:00:00:01:c8"); },
                Code::kAlreadyExists, "MAC_TAKEN"},
        Refusal{"VmAttachedAlready", [](auto& i) { i.vm = VmId::trusted("vm-1"); }, Code::kAlreadyExists,
                "VM_ALREADY_ATTACHED"},
        Refusal{"MulticastMac", [](auto& i) { i.interfaces[0].mac = mac("03:00:00:00:01:06"); },
                Code::kInvalidArgument, "MAC_NOT_UNICAST"},
        Refusal{"NoIp", [](auto& i) { i.interfaces[0].ips = {}; }, Code::kInvalidArgument, "NO_IP"},
        Refusal{"TwoIpsOfOneFamily", [](auto& i) { i.interfaces[0].ips = {ip("10.1.0.6"), ip("10.1.0.7")}; },
                Code::kInvalidArgument, "IP_FAMILY_TWICE"},
        Refusal{"Ipv6OutsideSubnet", [](auto& i) { i.interfaces[0].ips = {ip("2001:db8:2::6")}; },
                Code::kInvalidArgument, "IP_OUTSIDE_SUBNET"},
        Refusal{"MtuTooSmallForIpv6",
                [](auto& i) {
                  i.interfaces[0].ips = {ip("2001:db8:1::6")};
                  i.interfaces[0].mtu_bytes = 1279;
                },
                Code::kInvalidArgument, "MTU_TOO_SMALL"},
        Refusal{"NoInterface", [](auto& i) { i.interfaces.clear(); }, Code::kInvalidArgument, "NO_INTERFACE"},
        Refusal{"TooManyInterfaces", [](auto& i) { i.interfaces.assign(17, i.interfaces[0]); },
                Code::kInvalidArgument, "TOO_MANY_INTERFACES"},
        Refusal{"IpOfASibling",
                [](auto& i) {
                  i.interfaces.push_back(make_interface("blue", 7));
                  i.interfaces[1].ips = i.interfaces[0].ips;
                },
                Code::kInvalidArgument, "IP_TWICE"},
        Refusal{"MacOfASibling",
                [](auto& i) {
                  i.interfaces.push_back(make_interface("blue", 7));
                  i.interfaces[1].mac = i.interfaces[0].mac;
                },
                Code::kInvalidArgument, "MAC_TWICE"},
        Refusal{"UnknownVpcOfTheSecond", [](auto& i) { i.interfaces.push_back(make_interface("red", 7)); },
                Code::kNotFound, "VPC_UNKNOWN"},
        Refusal{"IpTakenOfTheSecond", [](auto& i) { i.interfaces.push_back(make_interface("blue", 5)); },
                Code::kAlreadyExists, "IP_TAKEN"},
        Refusal{"MoreInterfacesThanFunctions",
                [](auto& i) {
                  for (std::uint8_t n = 7; n < 10; ++n) i.interfaces.push_back(make_interface("blue", n));
                },
                Code::kResourceExhausted, "NO_FREE_FUNCTION"},
        Refusal{"MtuTooLarge", [](auto& i) { i.interfaces[0].mtu_bytes = 1451; }, Code::kInvalidArgument,
                "MTU_TOO_LARGE"}),
    [](const auto& param) { return param.param.name; });

TEST(Attach, AnUnsyncedHostSaysThatItKnowsNothing) {
  AgentWorld world;
  const auto refused = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_EQ(refused.error().reason, "VPCS_NOT_SYNCED");
}

TEST(Attach, NoFreeFunctionIsNamed) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  for (std::uint8_t i = 0; i < AgentWorld::kFunctions; ++i) {
    ASSERT_TRUE(
        world.attach(world.intent("vm-" + std::to_string(i), "blue", static_cast<std::uint8_t>(10 + i))));
  }
  const auto refused = world.attach(world.intent("one-too-many", "blue", 99));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "NO_FREE_FUNCTION");
}

// Fails step k by name, for every k: the VM ends not attached, and nothing is left behind.
class AttachFailsAt : public ::testing::TestWithParam<std::string> {};

TEST_P(AttachFailsAt, AndLeavesNothing) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto rules_before = world.eswitch.rules;
  world.driver.failing.insert(GetParam());
  const auto operation = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(operation);
  ASSERT_TRUE(operation->error);
  EXPECT_EQ(operation->error->reason, "TOLD_TO_FAIL");
  EXPECT_THAT(operation->error->message, HasSubstr("vm-1"));
  EXPECT_EQ(world.eswitch.rules, rules_before);
  EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
  EXPECT_THAT(world.driver.plugged, IsEmpty());
  EXPECT_THAT(world.driver.bound, IsEmpty());
  EXPECT_THAT(world.driver.dirty, IsEmpty());

  world.driver.failing.clear();
  auto again = world.intent("vm-1", "blue", 5);
  again.request = RequestId::trusted("again");
  EXPECT_FALSE(world.attach(again)->error);
}

INSTANTIATE_TEST_SUITE_P(DriverSteps, AttachFailsAt, ::testing::Values("prepare", "expose", "bind", "plug"),
                         [](const auto& param) { return param.param; });

// The eSwitch refuses the k-th rule of an attach, for every k until one attach needs fewer.
TEST(Attach, ARejectedRuleLeavesPortClosedWhicheverItIs) {
  for (std::size_t k = 0;; ++k) {
    AgentWorld world;
    world.push({make_vpc("blue", 7001)});
    const auto rules_before = world.eswitch.rules;
    std::size_t added = 0;
    world.eswitch.refuse_add = [&](const dataplane::Rule&) -> Result<void> {
      if (added++ == k) return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
      return {};
    };
    const auto operation = world.attach(world.intent("vm-1", "blue", 5));
    ASSERT_TRUE(operation);
    if (added <= k) {
      EXPECT_FALSE(operation->error);
      EXPECT_GT(k, 8U) << "an attach has more rules than that";
      return;
    }
    ASSERT_TRUE(operation->error) << "rule " << k;
    EXPECT_EQ(operation->error->code, Code::kHardwareRejected);
    EXPECT_EQ(world.eswitch.rules, rules_before) << "rule " << k;
    EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
  }
}

TEST(Attach, VerifyFindsARuleThatTheDeviceLost) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  world.driver.before_plug = [&]() -> Task<void> {  // a device that forgets what it had proven
    std::erase_if(world.eswitch.rules,
                  [](const auto& entry) { return entry.second.purpose == Purpose::kAdmit; });
    co_return Result<void>();
  };
  const auto operation = world.attach(world.intent("vm-1", "blue", 5));
  ASSERT_TRUE(operation && operation->error);
  EXPECT_EQ(operation->error->reason, "RULES_DIFFER");
}

// The second VM opens its gate while the first one's rules are being read back.
TEST(Attach, ANeighbourThatComesMeanwhileIsNoDifference) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  Signal go_on(world.io.get_executor());
  world.driver.before_plug = [&]() -> Task<void> {  // from `verify` on
    world.eswitch.after_read = [&] { return go_on.wait(); };
    co_return Result<void>();
  };
  const auto first = world.run(world.agent.attach(world.intent("vm-1", "blue", 5)));
  while (world.driver.plugged.empty()) world.io.run_one();
  world.io.poll();
  world.driver.before_plug = nullptr;
  const auto second = world.run(world.agent.attach(world.intent("vm-2", "blue", 6)));
  world.io.restart();
  world.io.poll();
  world.eswitch.after_read = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(first->id))->error);
  EXPECT_FALSE(world.run(world.agent.operations().wait(second->id))->error);
  EXPECT_EQ(world.eswitch.count(Purpose::kLocalMapping), 2U);
}

TEST(Attach, OneRequestIdIsOneRequestEvenWhileItsVpcIsAwaited) {
  AgentWorld world({.vpc_wait = std::chrono::hours(1)});
  std::vector<Result<agent::Operation>> outcomes;
  const auto attach = [&](std::string vm, std::uint8_t octet) -> asio::awaitable<void> {
    auto intent = world.intent(vm, "blue", octet);
    intent.request = RequestId::trusted("r-1");
    outcomes.push_back(co_await world.agent.attach(intent));
  };
  asio::co_spawn(world.io, attach("vm-1", 5), asio::detached);
  asio::co_spawn(world.io, attach("vm-2", 6), asio::detached);
  world.io.restart();
  world.io.poll();
  world.push({make_vpc("blue", 7001)});
  while (outcomes.size() < 2) world.io.run_one();
  EXPECT_TRUE(outcomes[0]);
  ASSERT_FALSE(outcomes[1]);
  EXPECT_EQ(outcomes[1].error().reason, "REQUEST_ID_REUSED");
}

TEST(Detach, TakesEveryStepAndFreesEverything) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto rules_before = world.eswitch.rules;
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  const auto detached = world.detach(attached->attachment, "bye");
  ASSERT_TRUE(detached);
  EXPECT_THAT(names_of(detached->steps), ElementsAre("unplug", "withdraw", "unbind", "reset", "release"));
  EXPECT_EQ(world.eswitch.rules, rules_before);
  EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
  EXPECT_TRUE(world.attach(world.intent("vm-2", "blue", 5)));
}

TEST(Detach, OfSomethingUnknownIsNotFound) {
  AgentWorld world;
  const auto refused = world.detach(AttachmentId::trusted("att-none"), "bye");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ATTACHMENT_UNKNOWN");
}

TEST(Detach, AFunctionThatIsNotCleanIsGivenToNobodyUntilItIs) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  world.driver.failing.insert("reset");
  const auto detached = world.detach(attached->attachment, "bye");
  ASSERT_TRUE(detached);
  EXPECT_EQ(detached->steps.back().status, StepStatus::kFailed);
  ASSERT_TRUE(detached->result);
  EXPECT_EQ(detached->result->state, AttachmentState::kQuarantined);
  EXPECT_EQ(world.eswitch.count(Purpose::kSpoofDrop), 1U) << "default drop stays";
  EXPECT_EQ(world.eswitch.count(Purpose::kAdmit), 0U);

  // Its address is free, its function is not.
  const auto second = world.attach(world.intent("vm-2", "blue", 5));
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_TRUE(world.attach(world.intent("vm-3", "blue", 6)));
  EXPECT_EQ(world.attach(world.intent("vm-4", "blue", 7)).error().reason, "NO_FREE_FUNCTION");

  world.driver.failing.clear();
  while (world.agent.attachments().find(attached->attachment) != nullptr) world.io.run_one();
  EXPECT_FALSE(world.attach(world.intent("vm-4", "blue", 7))->error);
}

TEST(Detach, ClosesThePortEvenIfTheVmDoesNotLetGo) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  world.driver.failing.insert("unplug");
  const auto detached = world.detach(attached->attachment, "bye");
  ASSERT_TRUE(detached);
  EXPECT_FALSE(detached->error);
  EXPECT_EQ(detached->result->state, AttachmentState::kQuarantined);
  EXPECT_EQ(world.eswitch.count(Purpose::kSpoofDrop), 1U);
  EXPECT_EQ(world.eswitch.count(Purpose::kAdmit), 0U);
  EXPECT_EQ(world.run(world.agent.detach({RequestId::trusted("again"), attached->attachment})).error().reason,
            "QUARANTINED");
  // Its address may be had, and what is cleaned up later is not the new VM's.
  const auto second = world.attach(world.intent("vm-2", "blue", 5));
  ASSERT_TRUE(second && !second->error);
  const auto rules = world.eswitch.rules;
  world.driver.failing.clear();
  while (world.agent.attachments().find(attached->attachment) != nullptr) world.io.run_one();
  EXPECT_EQ(world.eswitch.rules.size(), rules.size() - 2) << "entry and default drop of the clean function";
  EXPECT_EQ(world.eswitch.count(Purpose::kAdmit), 1U);
}

TEST(Detach, WhoseRulesDoNotGoSaysSoAndKeepsTheAddress) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  const auto attached = world.attach(world.intent("vm-1", "blue", 5));
  world.eswitch.refuse_remove = Purpose::kAdmit;
  const auto detached = world.detach(attached->attachment, "bye");
  ASSERT_TRUE(detached);
  ASSERT_TRUE(detached->error);
  EXPECT_EQ(detached->error->code, Code::kHardwareRejected);
  EXPECT_EQ(world.attach(world.intent("vm-2", "blue", 5)).error().reason, "IP_TAKEN");

  world.eswitch.refuse_remove.reset();
  while (world.agent.attachments().find(attached->attachment) != nullptr) world.io.run_one();
  EXPECT_FALSE(world.attach(world.intent("vm-2", "blue", 5))->error);
}

TEST(Detach, OfAVmThatIsStillBeingAttachedIsRefused) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  Signal go_on(world.io.get_executor());
  bool is_at_plug = false;
  world.driver.before_plug = [&] {
    is_at_plug = true;
    return go_on.wait();
  };
  const auto accepted = world.run(world.agent.attach(world.intent("vm-1", "blue", 5)));
  while (!is_at_plug) world.io.run_one();
  world.io.poll();
  const auto refused = world.run(world.agent.detach({RequestId::trusted("bye"), accepted->attachment}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ATTACHMENT_BUSY");
  go_on.notify_all();
  ASSERT_TRUE(world.run(world.agent.operations().wait(accepted->id)));
}

// It is attached, and the disk does not know yet.
TEST(Detach, OfAVmWhoseAttachHasNotEndedIsRefused) {
  CrashWorld world;  // with a disk
  world.start();
  world.set_up();
  const auto accepted = world.run(world.agent->attach(make_intent("vm-1", "blue", 5)));
  const auto at_once = [&]() -> Task<agent::Operation> {
    // Its place in the queue is before that of the disk's answer.
    while (world.agent->attachments().find(accepted->attachment)->state != AttachmentState::kAttached)
      co_await asio::post(world.io, asio::use_awaitable);
    EXPECT_FALSE((co_await world.agent->operations().find(accepted->id))->done);
    co_return co_await world.agent->detach({RequestId::trusted("bye"), accepted->attachment});
  };
  const auto refused = world.run(at_once());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ATTACHMENT_BUSY");
  EXPECT_FALSE(world.run(world.agent->operations().wait(accepted->id))->error);
  EXPECT_TRUE(world.run(world.agent->detach({RequestId::trusted("bye"), accepted->attachment})));
}

}  // namespace
}  // namespace berth::testing
