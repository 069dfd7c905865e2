// Policy sets: the rules of a VPC and of some of its groups as one policy, and the tags that tell sets apart.
#include "dataplane/compile.h"
#include "dataplane/compile_parts.h"
#include "dataplane/explain/explain.h"
#include "dataplane/wire_numbers.h"
#include "tests/fakes/whole_host.h"

#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using namespace berth::testing;

PolicyGroupId group_id(const std::string& id) {
  return PolicyGroupId::trusted(id);
}

PolicyRule deny_tcp(std::uint16_t port, std::uint16_t priority, Direction direction = Direction::kEgress) {
  return {direction, priority, Verdict::kDeny, kProtocolTcp, std::nullopt, PortRange{port, port}};
}

// "web" denies TCP port 80 and "mail" port 25, both ways; the VPC denies port 22 to everybody.
Vpc make_vpc_with_groups() {
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {deny_tcp(22, 10)};
  vpc.policy_groups = {
      {.id = group_id("web"), .rules = {deny_tcp(80, 10), deny_tcp(80, 10, Direction::kIngress)}},
      {.id = group_id("mail"), .rules = {deny_tcp(25, 20), deny_tcp(25, 20, Direction::kIngress)}}};
  return vpc;
}

const PolicySet kWebSet{.number = 1, .groups = {group_id("web")}};
const PolicySet kBothSet{.number = 2, .groups = {group_id("mail"), group_id("web")}};

TEST(PolicySet, NoTwoSetsAndNoTwoVersionsShareATag) {
  Vpc vpc = make_vpc_with_groups();
  const Vpc neighbour = make_vpc("green", 2);  // its VNI is the number of a set
  std::set<std::uint32_t> tags = {policy_tag(neighbour, {})};
  for (const auto& change : std::vector<std::function<void()>>{
           [] {}, [&] { ++vpc.policy_version; }, [&] { ++vpc.policy_groups[0].version; },
           [&] { ++vpc.policy_version, ++vpc.policy_groups[0].version, ++vpc.policy_groups[1].version; },
           [&] { vpc.policy_groups[1].version = 255; }, [&] { ++vpc.policy_groups[1].version; }}) {
    change();
    EXPECT_TRUE(tags.insert(policy_tag(vpc, kBothSet)).second);
  }
  tags.clear();
  for (const PolicySet& set : {PolicySet(), kWebSet, kBothSet}) tags.insert(policy_tag(vpc, set));
  EXPECT_EQ(tags.size(), 3U);
  EXPECT_FALSE(tags.contains(0));
}

TEST(PolicySet, OnlyTheSetsOfAChangedGroupGetANewTag) {
  Vpc vpc = make_vpc_with_groups();
  const auto tags = [&] {
    return std::vector{policy_tag(vpc, {}), policy_tag(vpc, kWebSet), policy_tag(vpc, kBothSet)};
  };
  const auto before = tags();
  ++vpc.policy_groups[1].version;  // mail
  const auto after = tags();
  EXPECT_EQ(after[0], before[0]);
  EXPECT_EQ(after[1], before[1]);
  EXPECT_NE(after[2], before[2]);
}

TEST(PolicySet, WithoutGroupsAVpcHasTheRulesThatItHad) {
  Vpc vpc = make_vpc_with_groups();
  const auto with_groups = compile_vpc(vpc, {}, kUnderlay);
  vpc.policy_groups.clear();
  EXPECT_EQ(compile_vpc(vpc, {}, kUnderlay), with_groups);
  EXPECT_TRUE(compile_policy_set(vpc, {}).empty());
}

std::string way(const LocalEndpoint& self, std::string_view packet, const std::vector<Rule>& rules) {
  std::vector<HeldRule> held;
  for (const Rule& rule : rules) held.push_back({.rule = rule});
  const PacketDefaults defaults{
      .eth_src = self.mac, .eth_dst = kGatewayMac, .ipv4_src = self.ips[0], .ipv6_src = {}};
  return say_end(explain(held, self.port, parse_packet_text(packet, defaults).value()));
}

TEST(PolicySet, APortIsJudgedByItsVpcAndItsGroupsBothWays) {
  const Vpc vpc = make_vpc_with_groups();
  LocalEndpoint web = kWeb;
  web.policy = kWebSet;
  LocalEndpoint db = kDb;
  db.policy = kBothSet;
  std::vector<Rule> rules;
  const auto append = [&](const std::vector<Rule>& some) {
    rules.insert(rules.end(), some.begin(), some.end());
  };
  append(compile_host(kUnderlay));
  append(compile_vpc(vpc, {}, kUnderlay));
  for (const LocalEndpoint& self : {web, db}) {
    append(compile_closed(self.port));
    append(compile_port(vpc, self));
    append(compile_delivery(vpc, {}, self));
    append(compile_policy_set(vpc, self.policy));
  }
  using ::testing::StartsWith;
  EXPECT_THAT(way(web, "ipv4 > 10.1.0.200 / tcp 1 > 22", rules), StartsWith("dropped by egress-policy-drop"));
  EXPECT_THAT(way(web, "ipv4 > 10.1.0.200 / tcp 1 > 80", rules), StartsWith("dropped by egress-policy-drop"));
  EXPECT_THAT(way(web, "ipv4 > 10.1.0.200 / tcp 1 > 25", rules), StartsWith("delivered to uplink"));
  EXPECT_THAT(way(web, "ipv4 > 10.1.0.6 / tcp 1 > 25", rules), StartsWith("dropped by ingress-policy-drop"));
  EXPECT_THAT(way(web, "ipv4 > 10.1.0.6 / tcp 1 > 443", rules), StartsWith("delivered to vf1"));
  EXPECT_THAT(way(db, "ipv4 > 10.1.0.200 / tcp 1 > 25", rules), StartsWith("dropped by egress-policy-drop"));
}

TEST(PolicySet, WithoutOneOfItsGroupsNothingPasses) {
  Vpc vpc = make_vpc_with_groups();
  vpc.policy_groups.pop_back();
  const auto rules = compile_policy_set(vpc, kBothSet);
  EXPECT_EQ(rules.size(), 2U);
  for (const Rule& rule : rules) {
    EXPECT_TRUE(rule.purpose == Purpose::kEgressDeny || rule.purpose == Purpose::kIngressDeny);
    EXPECT_EQ(rule.key.match, Match{.policy_tag = policy_tag(vpc, kBothSet)});
  }
}

// HP-04: as many rules as there may be, and each has a priority before the table's last ones.
TEST(PolicySet, TheLargestOneHasRoomInTheTable) {
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy.assign(kMaxPolicyRulesPerVpc, deny_tcp(22, 10));
  PolicySet set{.number = kMaxPolicySet, .groups = {}};
  for (std::size_t i = 0; i < kMaxPolicyGroupsPerSet; ++i) {
    const auto id = group_id(fmt::format("g-{}", i));
    set.groups.push_back(id);
    vpc.policy_groups.push_back({.id = id, .rules = std::vector(kMaxRulesPerPolicyGroup, deny_tcp(80, 10))});
  }
  std::set<RuleKey> keys;
  for (const Rule& rule : compile_policy_set(vpc, set)) {
    EXPECT_TRUE(keys.insert(rule.key).second);
    const bool is_last = rule.key.priority >= priority::kTableDefault - 1;
    EXPECT_EQ(is_last, !rule.key.match.l4_dst && !rule.key.match.ip_protocol) << rule.key.priority;
  }
}

}  // namespace
}  // namespace berth::dataplane
