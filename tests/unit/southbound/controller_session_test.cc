#include "southbound/controller_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::southbound {
namespace {

v1::ControllerMessage hello(const std::string& controller, std::uint64_t election_id) {
  v1::ControllerMessage message;
  message.mutable_hello()->set_controller(controller);
  message.mutable_hello()->set_election_id(election_id);
  return message;
}
v1::ControllerMessage begin(std::uint64_t version) {
  v1::ControllerMessage message;
  message.mutable_snapshot_begin()->set_version(version);
  return message;
}
v1::ControllerMessage end() {
  v1::ControllerMessage message;
  message.mutable_snapshot_end();
  return message;
}
v1::Vpc good_vpc(const std::string& id, std::uint32_t vni) {
  v1::Vpc vpc;
  vpc.set_id(id);
  vpc.set_vni(vni);
  vpc.add_subnets()->set_prefix("10.1.0.0/24");
  vpc.mutable_subnets(0)->set_gateway("10.1.0.1");
  return vpc;
}
v1::ControllerMessage vpc_message(const v1::Vpc& vpc) {
  v1::ControllerMessage message;
  *message.mutable_vpc() = vpc;
  return message;
}

class Session : public ::testing::Test {
 protected:
  SessionStep take(ControllerSession& session, const v1::ControllerMessage& message) {
    return session.take(message, known).value();
  }
  // The nack of a push that has this VPC.
  v1::Nack refuse(const v1::Vpc& vpc) {
    ControllerSession session(election);
    take(session, hello("sdn", 1));
    take(session, begin(1));
    take(session, vpc_message(vpc));
    const auto step = take(session, end());
    EXPECT_FALSE(step.push);
    return step.reply ? step.reply->nack() : v1::Nack();
  }

  Election election;
  ControllerSession::Known known{std::make_shared<const dataplane::VpcSet>(), 0};
};

TEST_F(Session, ASnapshotIsPushedWhenItEnds) {
  ControllerSession session(election);
  EXPECT_TRUE(take(session, hello("sdn", 1)).reply->hello_ack().primary());
  EXPECT_FALSE(take(session, begin(9)).reply);
  EXPECT_FALSE(take(session, vpc_message(good_vpc("blue", 7001))).push);
  const auto step = take(session, end());
  ASSERT_TRUE(step.push);
  EXPECT_EQ(step.push->version, 9U);
  EXPECT_EQ(step.push->vpcs->size(), 1U);
  EXPECT_EQ(session.finish_push(*step.push, {}).ack().version(), 9U);
}

TEST_F(Session, EveryBadPartOfAPolicyGroupIsNamed) {
  v1::Vpc vpc = good_vpc("blue", 7001);
  v1::PolicyGroup& group = *vpc.add_policy_groups();
  group.set_id("web");
  v1::PolicyRule& good = *group.add_rules();
  good.set_direction(v1::PolicyRule::INGRESS);
  good.set_action(v1::PolicyRule::DENY);
  *group.add_rules() = good;
  group.mutable_rules(1)->set_remote("10.1.0.0");
  vpc.add_policy_groups()->set_id("not an id");
  const v1::Nack nack = refuse(vpc);
  ASSERT_EQ(nack.errors_size(), 2);
  EXPECT_EQ(nack.errors(0).resource(), "vpc/blue/policy_group/web/1");
  EXPECT_EQ(nack.errors(0).reason(), "MALFORMED_PREFIX");
  EXPECT_EQ(nack.errors(1).resource(), "vpc/blue/policy_group/not an id");
  EXPECT_EQ(nack.errors(1).reason(), "MALFORMED_ID");
}

TEST_F(Session, ABlockOfAddressesIsAPrefixOrARange) {
  v1::Vpc vpc = good_vpc("blue", 7001);
  vpc.mutable_subnets(0)->add_host_blocks("10.1.0.64/26");
  vpc.mutable_subnets(0)->add_host_blocks("10.1.0.9-10.1.0.8");
  const v1::Nack nack = refuse(vpc);
  ASSERT_EQ(nack.errors_size(), 1);
  EXPECT_EQ(nack.errors(0).resource(), "vpc/blue/subnet/10.1.0.0/24");
  EXPECT_EQ(nack.errors(0).reason(), "MALFORMED_RANGE");
}

TEST_F(Session, ADeltaKeepsWhatItDoesNotName) {
  ControllerSession session(election);
  take(session, hello("sdn", 1));
  auto before = std::make_shared<dataplane::VpcSet>();
  for (const char* id : {"blue", "green", "red"}) {
    before->emplace(VpcId::trusted(id),
                    std::make_shared<const dataplane::Vpc>(dataplane::Vpc{.id = VpcId::trusted(id)}));
  }
  known = {before, 3};
  v1::ControllerMessage delta;
  delta.mutable_delta()->set_version(4);
  delta.mutable_delta()->add_deletes("green");
  *delta.mutable_delta()->add_upserts() = good_vpc("red", 7003);
  const auto step = take(session, delta);
  ASSERT_TRUE(step.push);
  EXPECT_EQ(step.push->vpcs->size(), 2U);
  EXPECT_EQ(step.push->vpcs->at(VpcId::trusted("blue")), before->at(VpcId::trusted("blue")));
  EXPECT_EQ(step.push->vpcs->at(VpcId::trusted("red"))->vni.value(), 7003U);
}

TEST_F(Session, ADeltaBeforeAnySnapshotIsRefused) {
  ControllerSession session(election);
  take(session, hello("sdn", 1));
  v1::ControllerMessage delta;
  delta.mutable_delta()->set_version(4);
  EXPECT_EQ(take(session, delta).reply->nack().errors(0).reason(), "NO_SNAPSHOT");
}

TEST_F(Session, EveryBadResourceIsNamed) {
  auto vpc = good_vpc("blue", 7001);
  vpc.add_mappings()->set_ip("10.1.0.300");
  vpc.mutable_mappings(0)->set_mac("02:00:00:00:00:01");
  vpc.mutable_mappings(0)->set_vtep("192.0.2.2");
  vpc.add_policy()->set_priority(10000);
  const auto nack = refuse(vpc);
  ASSERT_EQ(nack.errors_size(), 4);  // IP; direction, action and priority
  EXPECT_EQ(nack.errors(0).resource(), "vpc/blue/mapping/10.1.0.300");
  EXPECT_EQ(nack.errors(0).reason(), "MALFORMED_IP");
  EXPECT_EQ(nack.errors(1).resource(), "vpc/blue/policy/0");
}

TEST_F(Session, AMalformedIdOrVniIsRefused) {
  EXPECT_EQ(refuse(good_vpc("", 7001)).errors(0).reason(), "MALFORMED_ID");
  EXPECT_EQ(refuse(good_vpc("blue", 0)).errors(0).reason(), "MALFORMED_VNI");
}

TEST_F(Session, TheHighestElectionIdIsPrimary) {
  ControllerSession old_one(election);
  ControllerSession new_one(election);
  EXPECT_TRUE(take(old_one, hello("sdn-a", 5)).reply->hello_ack().primary());
  EXPECT_TRUE(take(new_one, hello("sdn-b", 6)).reply->hello_ack().primary());
  EXPECT_FALSE(old_one.is_primary());
  take(old_one, begin(1));
  EXPECT_EQ(take(old_one, end()).reply->nack().errors(0).reason(), "NOT_PRIMARY");
}

TEST_F(Session, AnOlderControllerDoesNotSlipInWhenThePrimaryLeaves) {
  {
    ControllerSession primary(election);
    take(primary, hello("sdn-b", 6));
  }
  ControllerSession older(election);
  EXPECT_FALSE(take(older, hello("sdn-a", 5)).reply->hello_ack().primary());
  ControllerSession back_again(election);
  EXPECT_TRUE(take(back_again, hello("sdn-b", 6)).reply->hello_ack().primary());
}

TEST_F(Session, MessagesOutOfOrderEndIt) {
  for (const auto& message : {begin(1), end(), vpc_message(good_vpc("blue", 1)), v1::ControllerMessage()}) {
    ControllerSession session(election);
    const auto step = session.take(message, known);
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().reason, "OUT_OF_ORDER");
  }
  ControllerSession session(election);
  take(session, hello("sdn", 1));
  EXPECT_FALSE(session.take(hello("sdn", 1), known));
  EXPECT_FALSE(session.take(end(), known));
}

TEST_F(Session, TooManyMappingsAreRefusedByName) {
  ControllerSession session(election);
  take(session, hello("sdn", 1));
  take(session, begin(1));
  auto vpc = good_vpc("blue", 7001);
  for (int i = 0; i < 1024; ++i) {
    v1::Mapping& mapping = *vpc.add_mappings();
    mapping.set_ip("10.1.0.7");
    mapping.set_mac("02:00:00:00:00:01");
    mapping.set_vtep("192.0.2.2");
  }
  for (std::size_t i = 0; i <= kMaxMappings / 1024; ++i) {
    vpc.set_id("vpc-" + std::to_string(i));
    take(session, vpc_message(vpc));
  }
  EXPECT_EQ(take(session, end()).reply->nack().errors(0).reason(), "LIMIT_EXCEEDED");
}

}  // namespace
}  // namespace berth::southbound
