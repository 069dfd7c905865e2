#include "dataplane/compile.h"

#include "dataplane/pipeline.h"
#include "dataplane/rule_text.h"
#include "tests/fakes/whole_host.h"

#include <algorithm>
#include <set>

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

TEST(Compile, TheWireIsTerminatedByVniThenByInnerMac) {
  EXPECT_THAT(
      texts(compile_vpc(blue(), kUnderlay)),
      ElementsAre(
          "group 1 priority 0 pattern represented_port ethdev_port_id is 0 / eth / ipv4 dst is 192.0.2.1 "
          "proto is 17 / udp dst is 4789 / vxlan vni is 7001 / end actions vxlan_decap / count / "
          "modify_field op set dst_type tag dst_level 0 src_type value src_value 591b0000 width 32 / "
          "jump group 2 / end",
          "group 2 priority 21000 pattern represented_port ethdev_port_id is 0 / tag data is 7001 index "
          "is 0 / end actions count / drop / end"));
}

TEST(Compile, AVmMaySendItsOwnAddressesUntaggedAndArp) {
  std::vector<std::string> admit;
  for (const Rule& rule : compile_port(blue(), kWeb, kUnderlay)) {
    if (rule.key.group == group::kAdmit) admit.push_back(format_rule_body(rule, berth_numbering));
  }
  EXPECT_THAT(
      admit,
      ElementsAre("group 1 priority 0 pattern represented_port ethdev_port_id is 1 / eth src is "
                  "02:00:00:00:01:05 has_vlan is 0 / ipv4 src is 10.1.0.5 / end actions count / jump group "
                  "2 / end",
                  "group 1 priority 1 pattern represented_port ethdev_port_id is 1 / eth src is "
                  "02:00:00:00:01:05 type is 0x0806 has_vlan is 0 / end actions count / jump group 6 / end"));
}

TEST(Compile, AMappingRewritesTheMacAndTunnelsOnce) {
  const auto rules = compile_port(blue(), kWeb, kUnderlay);
  const auto mapping = std::ranges::find(rules, Purpose::kMapping, &Rule::purpose);
  ASSERT_NE(mapping, rules.end());
  EXPECT_EQ(
      format_rule(*mapping, berth_numbering),
      "set vxlan ip-version ipv4 vni 7001 udp-src 0 udp-dst 4789 ip-src 192.0.2.1 ip-dst 192.0.2.2 eth-src "
      "02:00:00:00:ff:01 eth-dst 02:00:00:00:ff:02\n"
      "flow create 0 transfer group 3 priority 0 pattern represented_port ethdev_port_id is 1 / eth / ipv4 "
      "dst is "
      "10.1.0.200 / end actions count / modify_field op set dst_type mac_dst src_type value src_value "
      "0200000001c8 "
      "width 48 / vxlan_encap / represented_port ethdev_port_id 0 / end");
}

TEST(Compile, AMappingWithoutNextHopOrToThisHostHasNoRule) {
  Vpc vpc = blue();
  vpc.mappings = {{ip("10.1.0.201"), mac("02:00:00:00:01:c9"), ip("192.0.2.99")},
                  {ip("10.1.0.5"), mac("02:00:00:00:01:05"), kUnderlay.vtep}};
  const auto rules = compile_port(vpc, kWeb, kUnderlay);
  EXPECT_EQ(std::ranges::count(rules, Purpose::kMapping, &Rule::purpose), 0);
}

TEST(Compile, NoTwoRulesOfAHostHaveOneKey) {
  Vpc vpc = blue();
  // Overlapping ranges at one priority share masks.
  vpc.policy = {{Direction::kIngress, 5, Verdict::kDeny, 6, std::nullopt, PortRange{80, 82}},
                {Direction::kIngress, 5, Verdict::kDeny, 6, std::nullopt, PortRange{82, 83}},
                {Direction::kEgress, 5, Verdict::kAllow, std::nullopt, prefix("10.1.0.0/25"), std::nullopt}};
  std::set<RuleKey> keys;
  for (const Rule& rule : whole_host(vpc))
    EXPECT_TRUE(keys.insert(rule.key).second) << format_rule_body(rule, berth_numbering);
}

TEST(Compile, EveryRuleStaysInsideTheHardwareProfile) {
  for (const Rule& rule : whole_host(make_vpc_with_policy())) {
    const std::string text = format_rule_body(rule, berth_numbering);
    EXPECT_LE(rule.key.priority, 21843U) << text;                                    // HP-04
    EXPECT_FALSE(rule.actions.decap && rule.actions.encap) << text;                  // HP-22
    EXPECT_FALSE(rule.actions.decap && !rule.key.match.source.is_uplink()) << text;  // HP-23
    EXPECT_FALSE(rule.actions.encap && rule.key.match.source.is_uplink()) << text;   // HP-23
    EXPECT_TRUE(!rule.key.match.l4_dst || rule.key.match.ip_protocol) << text;       // HP-10
    if (const auto* jump = std::get_if<JumpTo>(&rule.actions.fate)) {
      EXPECT_GT(jump->group, rule.key.group) << text;  // HP-03
    }
    if (rule.key.group == 0) EXPECT_TRUE(std::holds_alternative<JumpTo>(rule.actions.fate)) << text;  // HP-01
    // HP-16, in dwords: port 1, MAC 2 each, IPv4 1 each, L4 ports 1, VNI 1, tag 1.
    const Match& m = rule.key.match;
    const int dwords = 1 + (m.tag ? 1 : 0) + (m.eth_src ? 2 : 0) + (m.eth_dst ? 2 : 0) + (m.ip_src ? 1 : 0) +
                       (m.ip_dst ? 1 : 0) + (m.l4_dst ? 1 : 0) + (m.vni ? 1 : 0);
    EXPECT_LE(dwords, 5) << text;
  }
}

TEST(Compile, AtEqualPrioritiesDenyComesFirst) {
  Vpc vpc = blue();
  vpc.policy = {{Direction::kEgress, 7, Verdict::kAllow, std::nullopt, std::nullopt, std::nullopt},
                {Direction::kEgress, 7, Verdict::kDeny, 6, std::nullopt, PortRange{22, 22}}};
  std::uint32_t allow = 0;
  std::uint32_t deny = 0;
  for (const Rule& rule : compile_port(vpc, kWeb, kUnderlay)) {
    if (rule.purpose == Purpose::kEgressPolicyDrop) deny = rule.key.priority;
    if (rule.purpose == Purpose::kEgressPolicy && rule.key.priority != priority::kTableDefault)
      allow = rule.key.priority;
  }
  EXPECT_LT(deny, allow);
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
