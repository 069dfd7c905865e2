// Policy groups: rules that interfaces share, programmed with the first one that has them and gone with the
// last, replaced as a whole, and not to be taken away from those who have them.
#include "dataplane/explain/explain.h"
#include "dataplane/wire_numbers.h"
#include "tests/flow/agent_world.h"

#include <boost/asio/detached.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using dataplane::Direction;
using dataplane::PolicyGroup;
using dataplane::PolicyGroupId;
using dataplane::Verdict;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

PolicyGroup make_group(const std::string& id, std::uint16_t denied_port) {
  const auto deny = [&](Direction direction) {
    return dataplane::PolicyRule{direction,      5,
                                 Verdict::kDeny, dataplane::kProtocolTcp,
                                 std::nullopt,   dataplane::PortRange{denied_port, denied_port}};
  };
  return {.id = PolicyGroupId::trusted(id), .rules = {deny(Direction::kIngress), deny(Direction::kEgress)}};
}

dataplane::Vpc make_vpc_with(std::vector<PolicyGroup> groups) {
  auto vpc = make_vpc("blue", 7001);
  vpc.policy_groups = std::move(groups);
  return vpc;
}

class Groups : public ::testing::Test {
 protected:
  agent::AttachIntent intent(std::uint8_t number, const std::vector<std::string>& groups) {
    auto wanted = make_intent(fmt::format("vm-{}", number), "blue", number);
    for (const std::string& group : groups)
      wanted.interfaces[0].policy_groups.push_back(PolicyGroupId::trusted(group));
    return wanted;
  }
  AttachmentId attach(std::uint8_t number, const std::vector<std::string>& groups) {
    const auto attached = world.attach(intent(number, groups));
    EXPECT_TRUE(attached && !attached->error);
    return attached ? attached->attachment : AttachmentId();
  }
  // What attaching this one adds.
  std::size_t rules_added_by(std::uint8_t number, const std::vector<std::string>& groups) {
    const std::size_t before = world.eswitch.rules.size();
    attach(number, groups);
    return world.eswitch.rules.size() - before;
  }
  bool is_denied(std::uint16_t function, const std::string& packet) {
    std::vector<dataplane::HeldRule> held;
    for (const auto& [key, rule] : world.eswitch.rules) held.push_back({.rule = rule});
    const dataplane::PacketDefaults defaults{.eth_src = {{0x02, 0, 0, 0, 1, 5}}};
    const auto headers = dataplane::parse_packet_text(packet, defaults).value();
    const auto explanation = dataplane::explain(held, dataplane::EswitchPort::function(function), headers);
    return explanation.end == dataplane::Explanation::End::kDropped;
  }

  AgentWorld world;
};

TEST_F(Groups, RulesAreSharedByThoseWithTheSameGroups) {
  world.push({make_vpc_with({make_group("web", 80), make_group("mail", 25)})});
  const auto before = world.eswitch.rules;
  const auto alone = attach(5, {});
  const std::size_t of_one = world.eswitch.rules.size() - before.size();
  const auto first = attach(6, {"web", "mail"});
  const std::size_t with_set = world.eswitch.rules.size();
  EXPECT_GT(with_set, before.size() + 2 * of_one);
  EXPECT_EQ(rules_added_by(7, {"mail", "web"}), of_one) << "in any order";
  const auto second = world.agent.attachments().list();
  EXPECT_FALSE(world.detach(first, "bye-1")->error);
  EXPECT_EQ(world.eswitch.rules.size(), with_set) << "the other one has the set still";
  for (const auto& attachment : second) {
    if (attachment.id != first && attachment.id != alone)
      EXPECT_FALSE(world.detach(attachment.id, "bye-2")->error);
  }
  EXPECT_FALSE(world.detach(alone, "bye-3")->error);
  EXPECT_TRUE(world.eswitch.rules == before);
}

TEST_F(Groups, TwoInterfacesOfOneVmMayShareASet) {
  world.push({make_vpc_with({make_group("web", 80)})});
  const auto before = world.eswitch.rules;
  auto wanted = intent(5, {"web"});
  wanted.interfaces.push_back(wanted.interfaces[0]);
  wanted.interfaces[1].ips = {ip("10.1.0.9")};
  wanted.interfaces[1].mac = mac("02:00:00:00:01:09");
  const auto attached = world.attach(wanted);
  ASSERT_TRUE(attached && !attached->error);
  EXPECT_TRUE(is_denied(0, "ipv4 10.1.0.5 > 10.1.0.200 / tcp 1 > 80"));
  EXPECT_FALSE(world.detach(attached->attachment, "bye")->error);
  EXPECT_TRUE(world.eswitch.rules == before);
}

TEST_F(Groups, AGroupThatIsNotKnownIsWaitedForAsAVpcIs) {
  world.push({make_vpc_with({make_group("web", 80)})});
  const auto refused = world.attach(intent(5, {"web", "mail"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_EQ(refused.error().reason, "POLICY_GROUP_UNKNOWN");
  EXPECT_EQ(world.run(world.agent.check(intent(5, {"mail"}))).error().reason, "POLICY_GROUP_UNKNOWN");
  EXPECT_EQ(world.agent.attachments().size(), 0U);

  AgentWorld patient({.vpc_wait = std::chrono::seconds(20)});
  patient.push({make_vpc("blue", 7001)});
  std::optional<bool> accepted;
  const auto ask = [&]() -> asio::awaitable<void> {
    accepted = (co_await patient.agent.attach(intent(5, {"web"}))).has_value();
  };
  asio::co_spawn(patient.io, ask(), asio::detached);
  patient.io.restart();
  patient.io.poll();
  EXPECT_FALSE(accepted);
  EXPECT_THAT(patient.push({make_vpc_with({make_group("web", 80)})}), IsEmpty());
  patient.run_until([&] { return accepted.has_value(); });
  EXPECT_TRUE(*accepted);
}

TEST_F(Groups, ListsThatMakeNoSenseAreRefused) {
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= dataplane::kMaxPolicyGroupsPerSet; ++i) many.push_back(fmt::format("g-{}", i));
  world.push({make_vpc_with({make_group("web", 80)})});
  for (const auto& [groups, reason] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"web", "web"}, "POLICY_GROUP_TWICE"}, {many, "TOO_MANY_POLICY_GROUPS"}}) {
    const auto refused = world.attach(intent(5, groups));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, reason);
    ASSERT_EQ(refused.error().violations.size(), 1U);
    EXPECT_EQ(refused.error().violations[0].field, "interfaces[0].policy_groups");
  }
}

TEST_F(Groups, OneInUseIsNotTakenAway) {
  world.push({make_vpc_with({make_group("web", 80), make_group("mail", 25)})});
  const auto id = attach(5, {"web"});
  const auto before = world.eswitch.rules;
  const auto errors =
      world.run(world.agent.push_vpcs({.vpcs = make_vpcs({make_vpc_with({})}), .version = 9})).value();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].resource, "vpc/blue/policy_group/web");
  EXPECT_EQ(errors[0].error.reason, "POLICY_GROUP_IN_USE");
  EXPECT_EQ(errors[0].error.code, Code::kFailedPrecondition);
  EXPECT_TRUE(world.eswitch.rules == before);
  EXPECT_NE(world.agent.vpcs().version(), 9U);
  EXPECT_THAT(world.push({make_vpc_with({make_group("web", 80)})}), IsEmpty())
      << "nobody is in the other one";
  EXPECT_FALSE(world.detach(id, "bye")->error);
  EXPECT_THAT(world.push({make_vpc_with({})}), IsEmpty());
}

// The controller's new rules of a set do not fit, wherever that is noticed; a VM goes, and others stay.
TEST(GroupsRefused, DoNotKeepAnybodyFromLeaving) {
  for (int fitting = 0; fitting < 30; ++fitting) {
    AgentWorld world;
    world.push({make_vpc_with({make_group("web", 80)})});
    auto first = make_intent("vm-1", "blue", 5);
    auto second = make_intent("vm-2", "blue", 6);
    for (agent::AttachIntent* one : {&first, &second})
      one->interfaces[0].policy_groups = {dataplane::PolicyGroupId::trusted("web")};
    const auto going = world.attach(first);
    ASSERT_FALSE(world.attach(second)->error);
    world.eswitch.refuse_add = [left = fitting](const dataplane::Rule&) mutable -> Result<void> {
      if (left-- > 0) return {};
      return fail(Code::kResourceExhausted, "ESWITCH_FULL", "told to be full");
    };
    auto changed = make_vpc_with({make_group("web", 81)});
    (void)world.run(world.agent.push_vpcs({.vpcs = make_vpcs({changed}), .version = 9}));
    world.eswitch.refuse_add = [](const dataplane::Rule&) -> Result<void> {
      return fail(Code::kResourceExhausted, "ESWITCH_FULL", "told to be full");
    };
    const auto detached = world.detach(going->attachment, "bye");
    ASSERT_TRUE(detached);
    EXPECT_FALSE(detached->error) << fitting << ": " << detached->error->message;
  }
}

// A push that takes a group away is being programmed when somebody joins the group.
TEST_F(Groups, OneThatIsJoinedMeanwhileIsNotTakenAwayEither) {
  world.push({make_vpc_with({make_group("web", 80)})});
  Signal go_on(world.io.get_executor());
  world.eswitch.before_apply = [&] { return go_on.wait(); };
  std::vector<dataplane::ResourceError> errors;
  bool ended = false;
  auto without = make_vpc("blue", 7001);
  without.mappings.clear();  // or nothing would have to be programmed
  const auto push = [&]() -> asio::awaitable<void> {
    errors = (co_await world.agent.push_vpcs({.vpcs = make_vpcs({without}), .version = 9})).value();
    ended = true;
  };
  asio::co_spawn(world.io, push(), asio::detached);
  world.io.restart();
  world.io.poll();
  const auto accepted = world.run(world.agent.attach(intent(5, {"web"})));
  ASSERT_TRUE(accepted) << "the push is not accepted yet";
  world.eswitch.before_apply = nullptr;
  go_on.notify_all();
  EXPECT_FALSE(world.run(world.agent.operations().wait(accepted->id))->error);
  world.run_until([&] { return ended; });
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].error.reason, "POLICY_GROUP_IN_USE");
  EXPECT_TRUE(is_denied(0, "ipv4 10.1.0.5 > 10.1.0.200 / tcp 1 > 80"));
  EXPECT_FALSE(is_denied(0, "ipv4 10.1.0.5 > 10.1.0.200 / tcp 1 > 81"));
  const auto resynced = world.run(world.agent.resync()).value();
  EXPECT_EQ(resynced.added_count + resynced.removed_count, 0U);
}

// As Push.APolicyIsReplacedAsAWhole, of a set of two groups of which one is replaced; the other one and the
// VPC's policy deny what they deny throughout.
TEST_F(Groups, AreReplacedAsAWhole) {
  const auto with_deny = [](std::uint16_t port) {
    auto vpc = make_vpc_with({make_group("web", port), make_group("mail", 25)});
    vpc.policy = make_group("", 53).rules;
    return vpc;
  };
  world.push({with_deny(22)});
  attach(5, {"web", "mail"});
  attach(6, {});
  const auto to = [](int port) { return fmt::format("ipv4 10.1.0.5 > 10.1.0.6 / tcp 1 > {}", port); };
  std::size_t states = 0;
  world.eswitch.on_change = [&] {
    ++states;
    EXPECT_NE(is_denied(0, to(22)), is_denied(0, to(23))) << "one version judges, and no mixture";
    EXPECT_TRUE(is_denied(0, to(25)));
    EXPECT_TRUE(is_denied(0, to(53)));
    EXPECT_FALSE(is_denied(0, to(24)));
  };
  EXPECT_THAT(world.push({with_deny(23)}), IsEmpty());
  EXPECT_GT(states, 8U);
  EXPECT_FALSE(is_denied(0, to(22)));
  EXPECT_TRUE(is_denied(0, to(23)));
}

TEST_F(Groups, OfOthersChangeNothing) {
  world.push({make_vpc_with({make_group("web", 80), make_group("mail", 25)})});
  attach(5, {"web"});
  attach(6, {});
  std::size_t changes = 0;
  world.eswitch.on_change = [&] { ++changes; };
  EXPECT_THAT(
      world.push({make_vpc_with({make_group("web", 80), make_group("mail", 26), make_group("x", 1)})}),
      IsEmpty());
  EXPECT_EQ(changes, 0U);
}

TEST_F(Groups, ARefusedRuleOfASetUndoesTheAttach) {
  world.push({make_vpc_with({make_group("web", 80)})});
  const auto before = world.eswitch.rules;
  world.eswitch.capacity = before.size() + 24;
  const auto ended = world.attach(intent(5, {"web"}));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error.value_or(Error()).reason, "ESWITCH_FULL");
  EXPECT_TRUE(world.eswitch.rules == before);
}

TEST_F(Groups, CountForTheRoomThatIsLeft) {
  world.push({make_vpc_with({make_group("web", 80)})});
  const std::size_t shared = world.eswitch.rules.size();
  const std::size_t of_first = rules_added_by(5, {"web"});
  const std::size_t of_second = rules_added_by(6, {"web"});
  ASSERT_LT(of_second, of_first);
  for (const std::size_t missing : {0U, 1U}) {
    AgentWorld tight({.eswitch_limits = {.rules = shared + of_first + of_second - missing}});
    tight.push({make_vpc_with({make_group("web", 80)})});
    ASSERT_TRUE(tight.attach(intent(5, {"web"})));
    EXPECT_EQ(tight.attach(intent(6, {"web"})).has_value(), missing == 0);
  }
}

}  // namespace
}  // namespace berth::testing
