#include "dataplane/compile.h"

#include "dataplane/pipeline.h"
#include "dataplane/rule_text.h"
#include "dataplane/wire_numbers.h"
#include "tests/fakes/whole_host.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using namespace berth::testing;
using ::testing::ElementsAre;

Vpc blue() {
  return make_vpc("blue", 7001);
}

std::vector<std::string> texts(const std::vector<Rule>& rules) {
  std::vector<std::string> lines;
  for (const Rule& rule : rules) lines.push_back(format_rule_body(rule, berth_numbering));
  return lines;
}

// Every rule of a host, as an engineer would type it: the pipeline at a glance. After a change that is
// meant, write the new text with BERTH_WRITE_GOLDEN=1.
TEST(Compile, AWholeHostIsAsItWas) {
  std::string text;
  std::set<Meter> meters;
  for (const Rule& rule : whole_host(make_vpc_with_policy())) {
    const auto& meter = rule.actions.meter;
    if (meter && meters.insert(*meter).second) text += format_meter(*meter, berth_numbering);
    text += fmt::format("# {} of {}\n{}\n", purpose_name(rule.purpose), rule.owner,
                        format_rule(rule, berth_numbering));
  }
  const std::string file = BERTH_GOLDEN_DIR "/whole_host.rules";
  if (std::getenv("BERTH_WRITE_GOLDEN") != nullptr) std::ofstream(file) << text;
  std::stringstream golden;
  golden << std::ifstream(file).rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(Compile, AnIpv6UnderlayIsTerminatedInTwoSteps) {
  EXPECT_THAT(
      texts(compile_host(kIpv6Underlay)),
      ElementsAre(
          "group 0 priority 0 pattern represented_port ethdev_port_id is 0 / end actions jump group 6 / end",
          "group 6 priority 0 pattern represented_port ethdev_port_id is 0 / eth / ipv6 dst is "
          "2001:db8:ffff::1 / end actions jump group 7 / end",
          "group 7 priority 10900 pattern represented_port ethdev_port_id is 0 / eth / ipv6 proto is 17 "
          "/ udp dst is 4789 / end actions count / drop / end"));
}

TEST(Compile, AMappingWithoutNextHopOrToThisHostHasNoRule) {
  Vpc vpc = blue();
  vpc.mappings = {{ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.99")},
                  {ip("10.1.0.5"), mac("02:00:00:00:01:05"), kUnderlay.vtep}};
  const auto rules = compile_vpc(vpc, {}, kUnderlay);
  EXPECT_EQ(std::ranges::count(rules, Purpose::kMapping, &Rule::purpose), 0);
}

TEST(Compile, TheRulesOfAVmAreFewHoweverLargeItsVpcIs) {
  Vpc vpc = blue();
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    vpc.mappings.push_back({IpAddress::v4(0x0A010000 + 256 * i), mac("02:00:00:00:01:07"), ip("192.0.2.2")});
  }
  EXPECT_LE(compile_port(vpc, kWeb).size() + compile_delivery(vpc, {}, kWeb).size(), 30U);
}

TEST(Compile, NoTwoRulesOfAHostHaveOneKey) {
  Vpc vpc = make_vpc_with_policy();
  // Overlapping ranges and equal priorities.
  vpc.policy.push_back({Direction::kIngress, 5, Verdict::kDeny, 6, std::nullopt, PortRange{80, 82}});
  vpc.policy.push_back({Direction::kIngress, 5, Verdict::kDeny, 6, std::nullopt, PortRange{82, 83}});
  std::set<RuleKey> keys;
  for (const Rule& rule : whole_host(vpc))
    EXPECT_TRUE(keys.insert(rule.key).second) << format_rule_body(rule, berth_numbering);
}

// HP-16, in dwords: port 1, MAC 2, address 1 for every 32 bits, L4 ports 1, VNI 1, tags 1 each.
unsigned dwords_of(const Match& m) {
  const auto prefix_dwords = [](const std::optional<IpPrefix>& p) {
    return p ? (p->length() + 31U) / 32U : 0;
  };
  return (m.source ? 1U : 0U) + (m.tag ? 1U : 0U) + (m.policy_tag ? 1U : 0U) + (m.eth_src ? 2U : 0U) +
         (m.eth_dst ? 2U : 0U) + prefix_dwords(m.ip_src) + prefix_dwords(m.ip_dst) +
         (m.l4_src || m.l4_dst ? 1U : 0U) + (m.vni ? 1U : 0U);
}

void expect_inside_profile(const Rule& rule) {
  const std::string text = format_rule_body(rule, berth_numbering);
  const Match& match = rule.key.match;
  EXPECT_LE(2 * rule.key.priority + 1, 21843U) << text;                       // HP-04
  EXPECT_FALSE(rule.actions.decap && rule.actions.encap) << text;             // HP-22
  EXPECT_FALSE(rule.actions.decap && match.source != EswitchPort()) << text;  // HP-23
  EXPECT_FALSE(rule.actions.encap && match.source == EswitchPort()) << text;  // HP-23
  EXPECT_TRUE(!match.l4_dst || match.ip_protocol) << text;                    // HP-10
  EXPECT_LE(dwords_of(match), 5U) << text;
  if (const auto* jump = std::get_if<JumpTo>(&rule.actions.fate)) {
    EXPECT_GT(jump->group, rule.key.group) << text;  // HP-03
  }
  if (rule.key.group == 0) {  // HP-01
    EXPECT_TRUE(std::holds_alternative<JumpTo>(rule.actions.fate)) << text;
    EXPECT_TRUE(match.source) << text;
  }
}

TEST(Compile, EveryRuleStaysInsideTheHardwareProfile) {
  for (const Rule& rule : whole_host(make_vpc_with_policy())) expect_inside_profile(rule);
  for (const Rule& rule : whole_host(on_ipv6_underlay(make_vpc_with_policy()), kIpv6Underlay))
    expect_inside_profile(rule);
}

TEST(Compile, TheLongestPrefixWinsAndAMappingOverAll) {
  Vpc vpc = blue();
  const auto route = [](std::string_view to) {
    return Route{prefix(to), ip("192.0.2.2"), mac("02:00:00:00:fe:01"), Vni::trusted(9001)};
  };
  vpc.routes = {route("0.0.0.0/0"), route("10.1.0.0/16"), route("10.1.0.192/26")};
  std::map<std::string, std::uint32_t> priorities;
  for (const Rule& rule : compile_vpc(vpc, {}, kUnderlay)) {
    if (rule.purpose == Purpose::kMapping) priorities[rule.key.match.ip_dst->str()] = rule.key.priority;
  }
  EXPECT_LT(priorities.at("10.1.0.200/32"), priorities.at("10.1.0.192/26"));
  EXPECT_LT(priorities.at("10.1.0.192/26"), priorities.at("10.1.0.0/16"));
  EXPECT_LT(priorities.at("10.1.0.0/16"), priorities.at("0.0.0.0/0"));
  EXPECT_LT(priorities.at("0.0.0.0/0"), priority::kTableDefault);
}

TEST(Compile, AtEqualPrioritiesDenyComesFirst) {
  Vpc vpc = blue();
  vpc.policy = {{Direction::kEgress, 7, Verdict::kAllow, std::nullopt, std::nullopt, std::nullopt},
                {Direction::kEgress, 7, Verdict::kDeny, 6, std::nullopt, PortRange{22, 22}}};
  std::uint32_t allow = 0;
  std::uint32_t deny = 0;
  for (const Rule& rule : compile_vpc(vpc, {}, kUnderlay)) {
    if (rule.key.group != group::kEgressPolicy || rule.key.priority >= priority::kTableDefault - 1) continue;
    (rule.purpose == Purpose::kEgressDeny ? deny : allow) = rule.key.priority;
  }
  EXPECT_LT(deny, allow);
}

TEST(Compile, BehindARuleThatDeniesPortsNoFragmentPasses) {
  Vpc vpc = blue();
  vpc.policy = {{Direction::kEgress, 1, Verdict::kAllow, 17, std::nullopt, std::nullopt},
                {Direction::kEgress, 2, Verdict::kDeny, 6, std::nullopt, PortRange{22, 22}},
                {Direction::kEgress, 3, Verdict::kAllow, 6, std::nullopt, std::nullopt}};
  for (const Rule& rule : compile_vpc(vpc, {}, kUnderlay)) {
    if (rule.key.group == group::kIngressPolicy) EXPECT_FALSE(rule.key.match.unfragmented);
    if (rule.key.group != group::kEgressPolicy || rule.purpose != Purpose::kEgressPolicy) continue;
    const bool comes_before = rule.key.match.ip_protocol == kProtocolUdp;
    EXPECT_EQ(rule.key.match.unfragmented, !comes_before) << format_rule_body(rule, berth_numbering);
  }
}

TEST(Compile, BehindARuleThatDeniesAProtocolNoIpv6ExtensionHeaderPasses) {
  Vpc vpc = blue();
  vpc.subnets.push_back({prefix("2001:db8:1::/64"), ip("2001:db8:1::1")});
  vpc.policy = {
      {Direction::kEgress, 1, Verdict::kAllow, std::nullopt, prefix("2001:db8:1::/96"), std::nullopt},
      {Direction::kEgress, 2, Verdict::kDeny, 6, std::nullopt, std::nullopt},
      {Direction::kEgress, 3, Verdict::kDeny, 17, std::nullopt, std::nullopt},
      {Direction::kIngress, 1, Verdict::kDeny, std::nullopt, prefix("2001:db8:2::/64"), std::nullopt},
      {Direction::kIngress, 2, Verdict::kDeny, 6, prefix("10.1.0.0/24"), std::nullopt}};
  constexpr std::uint8_t kDestinationOptions = 60;
  std::vector<std::uint32_t> priorities;
  for (const Rule& rule : compile_vpc(vpc, {}, kUnderlay)) {
    if (rule.key.match.ip_protocol != kDestinationOptions) continue;
    EXPECT_EQ(rule.key.group, group::kEgressPolicy) << format_rule_body(rule, berth_numbering);
    EXPECT_EQ(rule.key.match.ip, IpFamily::kV6);
    EXPECT_EQ(rule.purpose, Purpose::kEgressDeny);
    priorities.push_back(rule.key.priority);
  }
  // With the first rule that denies a protocol, so behind what comes before it.
  EXPECT_EQ(priorities, std::vector<std::uint32_t>{priority::kPolicyFirst + 1});
}

TEST(Compile, APeeringNeedsBothSidesAndLetsOnlyItsPrefixesThrough) {
  Vpc vpc = blue();
  Vpc peer = make_vpc("green", 7002);
  peer.subnets = {{prefix("10.2.0.0/24"), ip("10.2.0.1")}};
  peer.mappings = {{ip("10.2.0.9"), mac("02:00:00:00:02:09"), ip("192.0.2.2")},
                   {ip("10.2.0.200"), mac("02:00:00:00:02:c8"), ip("192.0.2.2")}};
  vpc.peerings = {{peer.id, {prefix("10.2.0.0/25")}}};
  const auto set_of = [](const Vpc& a, const Vpc& b) {
    return VpcSet{{a.id, std::make_shared<const Vpc>(a)}, {b.id, std::make_shared<const Vpc>(b)}};
  };
  EXPECT_TRUE(peers_of(vpc, set_of(vpc, peer)).empty()) << "green does not name blue";

  peer.peerings = {{vpc.id, {prefix("10.1.0.0/24")}}};
  const Peers peers = peers_of(vpc, set_of(vpc, peer));
  ASSERT_EQ(peers.size(), 1U);
  std::vector<std::string> reached;
  for (const Rule& rule : compile_vpc(vpc, peers, kUnderlay)) {
    if (rule.purpose != Purpose::kMapping || rule.actions.encap->vni != peer.vni) continue;
    EXPECT_EQ(rule.key.match.tag, vpc.vni.value());
    reached.push_back(rule.key.match.ip_dst->str());
  }
  EXPECT_THAT(reached, ElementsAre("10.2.0.9/32"));

  // A VM of green on this host, 10.2.0.9, is led to from blue too; one beyond the filter is not.
  const auto leading_to = [&](std::string_view address) {
    const LocalEndpoint self{
        .port = EswitchPort::function(2), .ips = {ip(address)}, .mac = mac("02:00:00:00:02:09")};
    std::set<std::uint32_t> from;
    for (const Rule& rule : compile_delivery(peer, peers_of(peer, set_of(vpc, peer)), self)) {
      if (rule.purpose == Purpose::kLocalMapping) from.insert(*rule.key.match.tag);
    }
    return from;
  };
  EXPECT_THAT(leading_to("10.2.0.9"), ElementsAre(7001U, 7002U));
  EXPECT_THAT(leading_to("10.2.0.200"), ElementsAre(7002U));
}

TEST(Compile, ANewVersionOfAPolicySharesNoRuleWithTheOldOne) {
  Vpc old = make_vpc_with_policy();
  Vpc next = old;
  ++next.policy_version;
  std::set<RuleKey> keys;
  for (const Vpc& vpc : {old, next}) {
    for (const Rule& rule : compile_vpc(vpc, {}, kUnderlay)) {
      if (rule.key.match.policy_tag) EXPECT_TRUE(keys.insert(rule.key).second);
    }
  }
  EXPECT_FALSE(keys.empty());
}

TEST(ExpandPortRange, CoversExactlyTheRange) {
  for (const PortRange range : {PortRange{0, 0}, PortRange{22, 22}, PortRange{80, 90}, PortRange{1, 65534},
                                PortRange{0, 65535}, PortRange{65535, 65535}}) {
    const auto masks = expand_port_range(range);
    EXPECT_LE(masks.size(), 30U);
    for (std::uint32_t port = 0; port <= 0xFFFF; ++port) {
      const auto hits =
          std::ranges::count_if(masks, [&](const PortMask& m) { return (port & m.mask) == m.value; });
      ASSERT_EQ(hits, port >= range.first && port <= range.last ? 1 : 0) << port;
    }
  }
}

}  // namespace
}  // namespace berth::dataplane
