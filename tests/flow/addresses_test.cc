// Addresses that the host chooses, from the blocks that a controller has left to it.
#include "tests/flow/agent_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// 10.1.0.40 to .42 of blue, and some IPv6.
dataplane::Vpc make_vpc_with_blocks() {
  auto vpc = make_vpc("blue", 7001);
  vpc.subnets[0].host_blocks = {IpRange::parse("", "10.1.0.40-10.1.0.42").value()};
  vpc.subnets[1].host_blocks = {IpRange::parse("", "2001:db8:1::8000/113").value()};
  return vpc;
}

const IpPrefix kIpv4Subnet = prefix("10.1.0.0/24");
const IpPrefix kIpv6Subnet = prefix("2001:db8:1::/64");

class Addresses : public ::testing::Test {
 protected:
  Addresses() { world.push({make_vpc_with_blocks()}); }

  static agent::AttachIntent intent(std::uint8_t number, std::vector<IpPrefix> allocate = {kIpv4Subnet}) {
    auto wanted = make_intent(fmt::format("vm-{}", number), "blue", number);
    wanted.interfaces[0].ips.clear();
    wanted.interfaces[0].allocate = std::move(allocate);
    return wanted;
  }
  static std::vector<std::string> ips(const agent::Attachment& attachment) {
    std::vector<std::string> all;
    for (const auto& one : attachment.interfaces) {
      for (const IpAddress& address : one.intent.ips) all.push_back(address.str());
    }
    return all;
  }
  agent::Operation attach(const agent::AttachIntent& wanted) {
    const auto ended = world.attach(wanted);
    EXPECT_TRUE(ended && !ended->error) << (ended ? "" : ended.error().message);
    return ended.value_or(agent::Operation());
  }
  std::vector<std::string> ips_of(const agent::AttachIntent& wanted) {
    return ips(attach(wanted).result.value_or(agent::Attachment()));
  }
  std::uint64_t free_ipv4() const { return world.agent.capacity().addresses.at(0).free; }

  AgentWorld world;
};

TEST_F(Addresses, AreChosenFromTheBlocksOfEachFamily) {
  EXPECT_THAT(ips_of(intent(5, {kIpv4Subnet, kIpv6Subnet})), ElementsAre("10.1.0.40", "2001:db8:1::8000"));
  EXPECT_THAT(ips_of(intent(6, {kIpv6Subnet})), ElementsAre("2001:db8:1::8001"));
  auto both = intent(7, {kIpv6Subnet});
  both.interfaces[0].ips = {ip("10.1.0.41")};
  EXPECT_THAT(ips_of(both), ElementsAre("10.1.0.41", "2001:db8:1::8002"));
  EXPECT_EQ(free_ipv4(), 1U) << "one was chosen, one was asked for";
}

TEST_F(Addresses, OfOneRequestAreApart) {
  auto wanted = intent(5);
  wanted.interfaces.push_back(wanted.interfaces[0]);
  wanted.interfaces[1].mac = mac("02:00:00:00:01:06");
  wanted.interfaces.push_back(make_interface("blue", 40));  // the first one of the block
  EXPECT_THAT(ips_of(wanted), ElementsAre("10.1.0.41", "10.1.0.42", "10.1.0.40"));
}

TEST_F(Addresses, OfARequestThatComesAgainAreTheSame) {
  const auto first = attach(intent(5));
  const auto again = attach(intent(5));
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(ips(again.result.value()), ips(first.result.value()));
  EXPECT_EQ(free_ipv4(), 2U);
  auto other = intent(5);
  other.interfaces[0].allocate = {kIpv6Subnet};
  EXPECT_EQ(world.attach(other).error().reason, "REQUEST_ID_REUSED");
}

TEST_F(Addresses, ThatWereFreedComeAfterTheOthers) {
  const auto a = attach(intent(5));  // .40
  EXPECT_FALSE(world.detach(a.attachment, "bye-a")->error);
  const auto b = attach(intent(6));
  EXPECT_THAT(ips(b.result.value()), ElementsAre("10.1.0.41"));
  EXPECT_FALSE(world.detach(b.attachment, "bye-b")->error);
  EXPECT_THAT(ips_of(intent(7)), ElementsAre("10.1.0.42"));
  EXPECT_THAT(ips_of(intent(8)), ElementsAre("10.1.0.40")) << "freed first";
}

TEST_F(Addresses, OfAnAttachThatFailedAreFree) {
  world.driver.failing = {"plug"};
  EXPECT_EQ(world.attach(intent(5))->error.value_or(Error()).reason, "TOLD_TO_FAIL");
  EXPECT_EQ(free_ipv4(), 3U);
  world.driver.failing.clear();
  EXPECT_THAT(ips_of(intent(6)), ElementsAre("10.1.0.41")) << "somebody may have heard of the first";
}

// Its rules are gone, and whether its guest is, nobody knows.
TEST_F(Addresses, OfAQuarantinedAttachmentAreKept) {
  const auto a = attach(intent(5));
  world.driver.failing = {"reset"};
  EXPECT_FALSE(world.detach(a.attachment, "bye")->error);
  ASSERT_EQ(world.agent.attachments().list()[0].state, agent::AttachmentState::kQuarantined);
  EXPECT_EQ(free_ipv4(), 2U);
  EXPECT_THAT(ips_of(intent(6)), ElementsAre("10.1.0.41"));
  world.driver.failing.clear();
  world.run_until([&] { return world.agent.attachments().size() == 1; });
  EXPECT_EQ(free_ipv4(), 2U);
}

TEST_F(Addresses, ExhaustedAreRefusedWithTheNumbers) {
  attach(intent(5));
  auto wanted = intent(6);
  for (std::uint8_t i = 0; i < 2; ++i) {
    wanted.interfaces.push_back(wanted.interfaces[0]);
    wanted.interfaces.back().mac.bytes[5] = static_cast<std::uint8_t>(0x80 + i);
  }
  const auto before = world.agent.attachments().size();
  for (const auto& refused : {world.attach(wanted).error(), world.run(world.agent.check(wanted)).error()}) {
    EXPECT_EQ(refused.code, Code::kResourceExhausted);
    EXPECT_EQ(refused.reason, "ADDRESSES_EXHAUSTED");
    const std::map<std::string, std::string> numbers(refused.metadata.begin(), refused.metadata.end());
    EXPECT_EQ(numbers, (std::map<std::string, std::string>{{"needed", "3"}, {"free", "2"}, {"total", "3"}}));
  }
  EXPECT_EQ(world.agent.attachments().size(), before);
  EXPECT_EQ(free_ipv4(), 2U) << "all or nothing";
}

TEST_F(Addresses, AreOnlyToldWhenAttachIsOnlyAskedAbout) {
  EXPECT_THAT(ips(world.run(world.agent.check(intent(5))).value()), ElementsAre("10.1.0.40"));
  EXPECT_EQ(free_ipv4(), 3U);
}

TEST_F(Addresses, ThatMakeNoSenseAreRefused) {
  EXPECT_EQ(world.attach(intent(5, {prefix("10.1.0.0/25")})).error().reason, "SUBNET_UNKNOWN");
  EXPECT_EQ(world.attach(intent(5, {kIpv4Subnet, kIpv4Subnet})).error().reason, "IP_FAMILY_TWICE");
  auto both = intent(5);
  both.interfaces[0].ips = {ip("10.1.0.5")};
  EXPECT_EQ(world.attach(both).error().reason, "IP_FAMILY_TWICE");
  EXPECT_EQ(world.attach(intent(5, {})).error().reason, "NO_IP");
  auto small = intent(5, {kIpv6Subnet});
  small.interfaces[0].mtu_bytes = 1279;
  EXPECT_EQ(world.attach(small).error().reason, "MTU_TOO_SMALL");
}

TEST_F(Addresses, OfAVpcWithoutBlocksThereAreNone) {
  world.push({make_vpc_with_blocks(), make_vpc("green", 7002)});
  auto wanted = intent(5);
  wanted.interfaces[0].vpc = VpcId::trusted("green");
  EXPECT_EQ(world.attach(wanted).error().metadata.at("total"), "0");
  EXPECT_EQ(world.agent.capacity().addresses.size(), 2U);
}

TEST_F(Addresses, MappedElsewhereAreNotTheHostsToGive) {
  auto vpc = make_vpc_with_blocks();
  vpc.mappings.push_back({ip("10.1.0.41"), mac("02:00:00:00:01:29"), ip("192.0.2.2")});
  const auto errors = world.run(world.agent.push_vpcs({.vpcs = make_vpcs({vpc}), .version = 9})).value();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].resource, "vpc/blue/mapping/10.1.0.41");
  EXPECT_EQ(errors[0].error.reason, "HOST_BLOCK_MAPPED");
  vpc.mappings.back().vtep = ip("192.0.2.1");
  EXPECT_THAT(world.push({vpc}), IsEmpty()) << "a VM of this host";
}

TEST_F(Addresses, StayWhenTheirBlockIsTakenAway) {
  const auto a = attach(intent(5));
  EXPECT_THAT(world.push({make_vpc("blue", 7001)}), IsEmpty());
  EXPECT_EQ(world.agent.attachments().get(a.attachment)->interfaces[0].intent.ips,
            std::vector{ip("10.1.0.40")});
  EXPECT_FALSE(world.detach(a.attachment, "bye")->error);
}

}  // namespace
}  // namespace berth::testing
