// The step that proves an attach, on an eSwitch that executes rules, or lies about it.
#include "agent/probe_frames.h"
#include "dataplane/wire_numbers.h"
#include "tests/flow/agent_world.h"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::StepStatus;
using dataplane::Purpose;
using dataplane::Rule;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Probe : public ::testing::Test {
 protected:
  Probe() { world.push({make_vpc("blue", 7001), make_vpc("green", 7002)}); }

  agent::Operation attach(const std::string& vm = "vm-1", std::uint8_t octet = 5) {
    auto intent = world.intent(vm, "blue", octet);
    intent.interfaces[0].ips.push_back(ip(fmt::format("2001:db8:1::{}", octet)));
    return world.attach(intent).value();
  }
  static const agent::StepRecord& step(const agent::Operation& operation) {
    return *std::ranges::find(operation.steps, "probe", &agent::StepRecord::name);
  }
  std::uint64_t count_of_everything() {
    std::uint64_t packets = 0;
    for (const auto& held : world.run(world.eswitch.read_rules(std::nullopt)).value())
      packets += held.packets + held.bytes;
    return packets;
  }
  // What another host sends to the VM of attach().
  static std::vector<dataplane::InjectedFrame> from_another_host() {
    const agent::ProbeSubject vm{.port = dataplane::EswitchPort::function(0),
                                 .mac = mac("02:00:00:00:01:05"),
                                 .ips = {},
                                 .vni = Vni::trusted(7001),
                                 .foreign_vni = {},
                                 .vtep = ip("192.0.2.1"),
                                 .uplink_mac = mac("02:00:00:00:ff:01")};
    return {agent::frame_from_wire(vm, vm.vni, ip("10.1.0.5"), agent::Payload::kSsh).frame};
  }
  AgentWorld world;
};

TEST_F(Probe, ProvesAndSaysSoAndLeavesNoTraceInTheCounters) {
  const auto operation = attach();
  ASSERT_FALSE(operation.error) << operation.error->message;
  EXPECT_EQ(step(operation).status, StepStatus::kDone);
  EXPECT_THAT(step(operation).detail, HasSubstr("8 frames, 14 rules: counters moved"));
  EXPECT_EQ(world.eswitch.injected.size(), 8U);
  EXPECT_EQ(count_of_everything(), 0U);
}

// It is over before anybody can have the function, and nothing of another VM is spoken for.
TEST_F(Probe, HappensBeforeTheVmIsThere) {
  std::size_t injected_at_plug = 0;
  world.driver.before_plug = [&]() -> Task<void> {
    injected_at_plug = world.eswitch.injected.size();
    co_return Result<void>();
  };
  attach();
  EXPECT_EQ(injected_at_plug, 8U);
  EXPECT_EQ(world.eswitch.injected.size(), 8U);
}

TEST_F(Probe, AnEswitchThatTakesNoFramesIsNotPretendedToBeProven) {
  world.eswitch.cannot_inject = true;
  const auto operation = attach();
  EXPECT_FALSE(operation.error);
  EXPECT_EQ(step(operation).status, StepStatus::kNotApplicable);
}

TEST_F(Probe, CountersThatAreReadLateAreWaitedFor) {
  world.eswitch.late_reads = 3;
  EXPECT_FALSE(attach().error);
  EXPECT_EQ(world.eswitch.injected.size(), 8U) << "not tried again meanwhile";
}

struct Lie {
  std::string name;
  Purpose purpose;
  std::string caught_as;
};
class ProbeCatches : public Probe, public ::testing::WithParamInterface<Lie> {
 protected:
  void expect_caught() {
    const auto rules_before = world.eswitch.rules;
    const auto operation = attach();
    ASSERT_TRUE(operation.error);
    EXPECT_EQ(operation.error->code, Code::kDataLoss);
    EXPECT_EQ(operation.error->reason, "PROBE_FAILED");
    EXPECT_THAT(operation.error->message, HasSubstr(GetParam().caught_as));
    EXPECT_EQ(world.eswitch.rules, rules_before);
    EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
    EXPECT_THAT(world.driver.plugged, IsEmpty());

    world.eswitch.does_not_match = nullptr;
    world.eswitch.does_not_count = nullptr;
    auto again = world.intent("vm-1", "blue", 5);
    again.request = RequestId::trusted("again");
    EXPECT_FALSE(world.attach(again)->error);
  }
};

TEST_P(ProbeCatches, ARuleThatIsHeldAndDoesNotAct) {
  world.eswitch.does_not_match = [](const Rule& rule) { return rule.purpose == GetParam().purpose; };
  expect_caught();
}

INSTANTIATE_TEST_SUITE_P(
    EachOne, ProbeCatches,
    ::testing::Values(Lie{"PortEntry", Purpose::kPortEntry, "from the VM"},
                      Lie{"Admit", Purpose::kAdmit, "way ends before admit "},
                      Lie{"AdmitIpv6", Purpose::kAdmitIpv6, "ipv6 from the VM"},
                      Lie{"SpoofDrop", Purpose::kSpoofDrop, "spoofed address"},
                      Lie{"EgressPolicy", Purpose::kEgressPolicy, "way ends before egress-policy "},
                      Lie{"LocalMapping", Purpose::kLocalMapping, "way ends before local-mapping "},
                      Lie{"Terminate", Purpose::kTerminate, "way ends before terminate "},
                      Lie{"InnerMac", Purpose::kInnerMac, "way ends before inner-mac "},
                      Lie{"IngressPolicy", Purpose::kIngressPolicy, "way ends before ingress-policy "},
                      Lie{"Deliver", Purpose::kDeliver, "way ends before deliver "},
                      Lie{"UnknownVni", Purpose::kUnknownVniDrop, "foreign VNI"}),
    [](const auto& param) { return param.param.name; });

class ProbeCatchesCounter : public ProbeCatches {};

TEST_P(ProbeCatchesCounter, ThatStandsStill) {
  world.eswitch.does_not_count = [](const Rule& rule) { return rule.purpose == GetParam().purpose; };
  expect_caught();
}

INSTANTIATE_TEST_SUITE_P(Some, ProbeCatchesCounter,
                         ::testing::Values(Lie{"Admit", Purpose::kAdmit, "counted 0 of 1"},
                                           Lie{"Deliver", Purpose::kDeliver, "counted 0 of 1"}),
                         [](const auto& param) { return param.param.name; });

// What is meant for one VM reaches another one: its own rule has not seen it.
TEST_F(Probe, CatchesAFrameThatIsDeliveredToTheWrongPort) {
  ASSERT_FALSE(attach("vm-1", 5).error);
  world.eswitch.acts_like = [](const Rule& rule) {
    Rule acting = rule;
    if (rule.purpose == Purpose::kInnerMac && acting.actions.set_tag == 2U) acting.actions.set_tag = 1;
    return acting;
  };
  const auto operation = attach("vm-2", 6);
  ASSERT_TRUE(operation.error);
  EXPECT_EQ(operation.error->reason, "PROBE_FAILED");
  EXPECT_THAT(operation.error->message, HasSubstr("ipv4 from the wire"));
  EXPECT_EQ(world.agent.attachments().list().size(), 1U) << "the first VM keeps what it has";
}

TEST_F(Probe, CatchesAWireThatTakesAnyVni) {
  world.eswitch.acts_like = [this](const Rule& rule) {
    Rule acting = rule;
    if (rule.purpose != Purpose::kUnknownVniDrop) return acting;
    for (const auto& [key, other] : world.eswitch.rules) {
      if (other.purpose == Purpose::kTerminate && key.match.vni == Vni::trusted(7001))
        acting.actions = other.actions;
    }
    return acting;
  };
  const auto operation = attach();
  ASSERT_TRUE(operation.error);
  EXPECT_THAT(operation.error->message, HasSubstr("foreign VNI"));
}

// Other hosts may know the VM already, and send to it.
TEST_F(Probe, OthersTrafficToTheVmIsNoFault) {
  world.eswitch.before_read = [&] {
    for (const auto& frame : from_another_host()) world.eswitch.execute(frame.from, frame.bytes);
  };
  const auto operation = attach();
  EXPECT_FALSE(operation.error) << operation.error->message;
  EXPECT_THAT(step(operation).detail, HasSubstr("a lower bound"));
}

// A counter that moves by more than what was sent, and only when something is sent.
TEST_F(Probe, FramesThatAreTakenTwiceAreFound) {
  world.eswitch.copies = 2;
  const auto operation = attach();
  ASSERT_TRUE(operation.error);
  EXPECT_THAT(operation.error->message, HasSubstr("counted 2 instead of 1"));
}

TEST_F(Probe, APolicyThatChangesMeanwhileIsNoFault) {
  auto other = make_vpc("blue", 7001);
  other.policy = {{dataplane::Direction::kIngress, 1, dataplane::Verdict::kDeny, dataplane::kProtocolUdp,
                   std::nullopt, dataplane::PortRange{1, 100}}};
  bool pushed = false;
  world.eswitch.before_inject = [&]() -> Task<void> {
    if (std::exchange(pushed, true)) co_return Result<void>();
    const auto errors =
        co_await world.agent.push_vpcs({.vpcs = make_vpcs({other}), .version = ++world.version});
    EXPECT_TRUE(errors && errors->empty());
    co_return Result<void>();
  };
  const auto operation = attach();
  EXPECT_FALSE(operation.error) << operation.error->message;
  EXPECT_EQ(step(operation).status, StepStatus::kDone);
  EXPECT_GT(world.eswitch.injected.size(), 8U);
}

TEST_F(Probe, AHolderThatGoesAwayMeanwhileIsUnavailable) {
  world.eswitch.before_inject = []() -> Task<void> {
    co_return fail(Code::kUnavailable, "ESWITCH_AWAY", "gone");
  };
  const auto operation = attach();
  ASSERT_TRUE(operation.error);
  EXPECT_EQ(operation.error->code, Code::kUnavailable);
}

// Where a VPC has a hundred thousand mappings, a probe reads none of them.
TEST_F(Probe, ReadsAFewRulesHoweverManyThereAre) {
  auto large = make_vpc("blue", 7001);
  for (std::uint32_t i = 0; i < 2000; ++i) {
    large.mappings.push_back({IpAddress::v4(0x0A010000U + 256 + i),
                              {{2, 0, 0, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}},
                              ip("192.0.2.2")});
  }
  large.subnets[0] = {prefix("10.1.0.0/16"), ip("10.1.0.1")};
  ASSERT_THAT(world.push({large}), IsEmpty());
  world.eswitch.most_rules_read = 0;
  world.driver.before_plug = [&]() -> Task<void> {
    EXPECT_LT(world.eswitch.most_rules_read, 40U);
    EXPECT_GT(world.eswitch.most_rules_read, 0U);
    co_return Result<void>();
  };
  EXPECT_FALSE(attach().error);
}

}  // namespace
}  // namespace berth::testing
