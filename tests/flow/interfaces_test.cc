// VMs with several interfaces: all of them or none, each on a function and in a VPC of its own.
#include "tests/flow/agent_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachIntent;
using agent::AttachmentState;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Two in blue, as a VM with two GPUs has them, and one in green.
AttachIntent three_interfaces() {
  AttachIntent intent = make_intent("vm-1", "blue", 5);
  intent.interfaces.push_back(make_interface("blue", 6));
  intent.interfaces.push_back(make_interface("green", 5));
  return intent;
}

class Interfaces : public ::testing::Test {
 protected:
  Interfaces() {
    world.push({make_vpc("blue", 7001), make_vpc("green", 7002)});
    rules_before = world.eswitch.rules;
  }
  void expect_nothing_left() {
    EXPECT_TRUE(world.eswitch.rules == rules_before);
    EXPECT_THAT(world.agent.attachments().list(), IsEmpty());
    EXPECT_THAT(world.driver.plugged, IsEmpty());
    EXPECT_THAT(world.driver.bound, IsEmpty());
    EXPECT_EQ(world.agent.capacity().functions_free, AgentWorld::kFunctions);
  }

  AgentWorld world;
  std::map<dataplane::RuleKey, dataplane::Rule> rules_before;
};

TEST_F(Interfaces, AreAttachedAndDetachedAsOne) {
  const auto attached = world.attach(three_interfaces());
  ASSERT_TRUE(attached && !attached->error) << attached->error->message;
  ASSERT_THAT(attached->result->interfaces, SizeIs(3));
  EXPECT_THAT(world.driver.plugged, SizeIs(3));
  for (const agent::Interface& one : attached->result->interfaces) {
    EXPECT_EQ(one.intent.mtu_bytes, 1450U);
    EXPECT_EQ(one.function.mac, one.intent.mac);
    EXPECT_TRUE(world.eswitch.names(port_of(one)));
  }
  EXPECT_THAT(world.run(world.agent.read_counters(attached->attachment)).value(), SizeIs(3));
  EXPECT_EQ(world.agent.capacity().functions_free, 0U);

  EXPECT_FALSE(world.detach(attached->attachment, "bye")->error);
  expect_nothing_left();
}

TEST_F(Interfaces, TheControllerHearsOfEach) {
  const std::uint64_t before = world.agent.endpoints().latest_revision();
  ASSERT_TRUE(world.attach(three_interfaces()));
  std::vector<std::string> vpcs;
  for (std::uint64_t revision = before; revision < world.agent.endpoints().latest_revision(); ++revision)
    vpcs.push_back(world.run(world.agent.endpoints().next_after(revision))->interface.vpc.str());
  EXPECT_EQ(vpcs, (std::vector<std::string>{"blue", "blue", "green"}));
}

TEST_F(Interfaces, ARuleOfTheLastThatIsRefusedUndoesTheFirst) {
  world.eswitch.refuse_add = [](const dataplane::Rule& rule) -> Result<void> {
    if (rule.owner == dataplane::EswitchPort::function(2) && rule.purpose == dataplane::Purpose::kAdmit)
      return fail(Code::kHardwareRejected, "RULE_REFUSED", "told to refuse");
    return {};
  };
  const auto failed = world.attach(three_interfaces());
  ASSERT_TRUE(failed && failed->error);
  EXPECT_EQ(failed->error->reason, "RULE_REFUSED");
  expect_nothing_left();
}

TEST_F(Interfaces, AFunctionThatIsNotCleanKeepsAllOfThem) {
  const auto attached = world.attach(three_interfaces());
  ASSERT_TRUE(attached);
  world.driver.failing_at = {{"reset", 1}};
  ASSERT_TRUE(world.detach(attached->attachment, "bye"));
  EXPECT_EQ(world.agent.attachments().get(attached->attachment)->state, AttachmentState::kQuarantined);
  EXPECT_EQ(world.agent.capacity().functions_quarantined, 3U);
  EXPECT_THAT(world.agent.attachments().get(attached->attachment)->fault->message, HasSubstr("vf1"));

  world.driver.failing_at.clear();
  world.run_until([&] { return world.agent.capacity().functions_quarantined == 0; });
  expect_nothing_left();
}

TEST_F(Interfaces, AVmMayBeInAnotherVpcWithAnotherAttachment) {
  ASSERT_FALSE(world.attach(world.intent("vm-1", "blue", 5))->error);
  auto second = world.intent("vm-1", "green", 5);
  second.request = RequestId::trusted("second");
  EXPECT_FALSE(world.attach(second)->error);
  auto third = world.intent("vm-1", "blue", 9);
  third.request = RequestId::trusted("third");
  EXPECT_EQ(world.attach(third).error().reason, "VM_ALREADY_ATTACHED");
}

// --- what would be, and what there is room for

TEST_F(Interfaces, AQuestionChangesNothing) {
  auto intent = three_interfaces();
  intent.request = RequestId();
  const auto would_be = world.run(world.agent.check(intent));
  ASSERT_TRUE(would_be) << would_be.error().message;
  EXPECT_THAT(would_be->interfaces, SizeIs(3));
  EXPECT_EQ(would_be->interfaces[2].intent.mtu_bytes, 1450U);
  expect_nothing_left();
  EXPECT_EQ(world.agent.capacity().operations_running, 0U);
  EXPECT_FALSE(world.attach(three_interfaces())->error);
  EXPECT_EQ(world.run(world.agent.check(intent)).error().reason, "VM_ALREADY_ATTACHED");
}

TEST_F(Interfaces, TooFewFunctionsAreNamedWithTheirNumbers) {
  ASSERT_TRUE(world.attach(world.intent("vm-2", "blue", 9)));
  const auto refused = world.attach(three_interfaces());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "NO_FREE_FUNCTION");
  using Numbers = std::map<std::string, std::string>;
  EXPECT_EQ(refused.error().metadata, (Numbers{{"needed", "3"}, {"free", "2"}, {"total", "3"}}));
  EXPECT_EQ(world.agent.capacity().functions_free, 2U) << "and none is lost";
}

}  // namespace
}  // namespace berth::testing
