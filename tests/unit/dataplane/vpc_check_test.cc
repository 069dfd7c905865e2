#include "dataplane/vpc_check.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse("ip", text).value();
}
MacAddress mac(std::string_view text) {
  return MacAddress::parse("mac", text).value();
}
IpPrefix prefix(std::string_view text) {
  return IpPrefix::parse("prefix", text).value();
}

IpRange block(std::string_view text) {
  return IpRange::parse("block", text).value();
}

Vpc good() {
  return {.id = VpcId::trusted("blue"),
          .vni = Vni::trusted(7001),
          .subnets = {{prefix("10.1.0.0/24"), ip("10.1.0.1")}},
          .mappings = {{ip("10.1.0.6"), mac("02:00:00:00:01:06"), ip("192.0.2.2")}},
          .policy = {}};
}

TEST(CheckVpc, AcceptsAGoodOne) {
  EXPECT_TRUE(check_vpc(good()).empty());
}

struct Fault {
  std::string name;
  std::function<void(Vpc&)> spoil;
  std::string resource;
  std::string reason;
};
class CheckVpcFinds : public ::testing::TestWithParam<Fault> {};

TEST_P(CheckVpcFinds, TheFaultAndNamesTheResource) {
  Vpc vpc = good();
  GetParam().spoil(vpc);
  const auto found = check_vpc(vpc);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].resource, GetParam().resource);
  EXPECT_EQ(found[0].error.reason, GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, CheckVpcFinds,
    ::testing::Values(
        Fault{"GatewayOutside", [](Vpc& v) { v.subnets[0].gateway = ip("10.2.0.1"); },
              "vpc/blue/subnet/10.1.0.0/24", "GATEWAY_OUTSIDE_SUBNET"},
        Fault{"SubnetsOverlap",
              [](Vpc& v) { v.subnets.push_back({prefix("10.1.0.128/25"), ip("10.1.0.129")}); },
              "vpc/blue/subnet/10.1.0.128/25", "SUBNETS_OVERLAP"},
        Fault{"MappingOutside", [](Vpc& v) { v.mappings[0].ip = ip("10.9.0.6"); },
              "vpc/blue/mapping/10.9.0.6", "IP_OUTSIDE_SUBNET"},
        Fault{"MappingOfGateway", [](Vpc& v) { v.mappings[0].ip = ip("10.1.0.1"); },
              "vpc/blue/mapping/10.1.0.1", "IP_RESERVED"},
        Fault{"MappingTwice",
              [](Vpc& v) {
                v.mappings.push_back({v.mappings[0].ip, mac("02:00:00:00:01:07"), ip("192.0.2.3")});
              },
              "vpc/blue/mapping/10.1.0.6", "DUPLICATE"},
        Fault{"MulticastMac", [](Vpc& v) { v.mappings[0].mac = mac("01:00:5e:00:00:01"); },
              "vpc/blue/mapping/10.1.0.6", "MAC_NOT_UNICAST"},
        Fault{"MulticastVtep", [](Vpc& v) { v.mappings[0].vtep = ip("224.0.0.1"); },
              "vpc/blue/mapping/10.1.0.6", "MALFORMED_VTEP"},
        Fault{"PortsWithoutProtocol", [](Vpc& v) { v.policy = {{.ports = PortRange{22, 22}}}; },
              "vpc/blue/policy/0", "PORTS_WITHOUT_PROTOCOL"},
        Fault{"PortsReversed", [](Vpc& v) { v.policy = {{.protocol = 6, .ports = PortRange{90, 80}}}; },
              "vpc/blue/policy/0", "MALFORMED_PORTS"},
        Fault{"TooManyPolicyRules", [](Vpc& v) { v.policy.resize(kMaxPolicyRulesPerVpc + 1); }, "vpc/blue",
              "LIMIT_EXCEEDED"},
        Fault{"BlockOutside", [](Vpc& v) { v.subnets[0].host_blocks = {block("10.1.0.250-10.1.1.5")}; },
              "vpc/blue/subnet/10.1.0.0/24", "HOST_BLOCK_OUTSIDE_SUBNET"},
        Fault{"BlocksOverlap",
              [](Vpc& v) { v.subnets[0].host_blocks = {block("10.1.0.64/26"), block("10.1.0.9-10.1.0.64")}; },
              "vpc/blue/subnet/10.1.0.0/24", "HOST_BLOCKS_OVERLAP"},
        Fault{"TooManyBlocks", [](Vpc& v) { v.subnets[0].host_blocks.resize(kMaxHostBlocksPerSubnet + 1); },
              "vpc/blue", "LIMIT_EXCEEDED"},
        Fault{"GroupTwice",
              [](Vpc& v) { v.policy_groups.assign(2, {.id = PolicyGroupId::trusted("web"), .rules = {}}); },
              "vpc/blue/policy_group/web", "DUPLICATE"},
        Fault{"BadRuleOfAGroup",
              [](Vpc& v) {
                v.policy_groups = {
                    {.id = PolicyGroupId::trusted("web"), .rules = {{}, {.ports = PortRange{}}}}};
              },
              "vpc/blue/policy_group/web/1", "PORTS_WITHOUT_PROTOCOL"},
        Fault{"TooManyGroups", [](Vpc& v) { v.policy_groups.resize(kMaxPolicyGroupsPerVpc + 1); }, "vpc/blue",
              "LIMIT_EXCEEDED"},
        Fault{"TooManyRulesOfAGroup",
              [](Vpc& v) {
                v.policy_groups = {{.id = PolicyGroupId::trusted("web"),
                                    .rules = std::vector<PolicyRule>(kMaxRulesPerPolicyGroup + 1)}};
              },
              "vpc/blue", "LIMIT_EXCEEDED"},
        Fault{"RouteTwice",
              [](Vpc& v) {
                v.routes.assign(2, {prefix("0.0.0.0/0"), ip("192.0.2.2"), mac("02:00:00:00:00:fe"), v.vni});
              },
              "vpc/blue/route/0.0.0.0/0", "DUPLICATE"},
        Fault{"RouteToAHostOfASubnet",
              [](Vpc& v) {
                v.routes = {{prefix("10.1.0.9/32"), ip("192.0.2.2"), mac("02:00:00:00:00:fe"), v.vni}};
              },
              "vpc/blue/route/10.1.0.9/32", "ROUTE_INSIDE_SUBNET"},
        Fault{"PeersWithItself", [](Vpc& v) { v.peerings = {{v.id, {prefix("10.2.0.0/24")}}}; },
              "vpc/blue/peering/blue", "PEERS_WITH_ITSELF"},
        Fault{"PeeringWithoutPrefix", [](Vpc& v) { v.peerings = {{VpcId::trusted("green"), {}}}; },
              "vpc/blue/peering/green", "NO_PREFIX"},
        Fault{"PeeringOfOwnAddresses",
              [](Vpc& v) { v.peerings = {{VpcId::trusted("green"), {prefix("10.1.0.0/16")}}}; },
              "vpc/blue/peering/green", "PEERING_OVERLAP"},
        Fault{"PeeringsOfTheSameAddresses",
              [](Vpc& v) {
                v.peerings = {{VpcId::trusted("green"), {prefix("10.2.0.0/16")}},
                              {VpcId::trusted("red"), {prefix("10.2.3.0/24")}}};
              },
              "vpc/blue/peering/red", "PEERING_OVERLAP"},
        Fault{"Ipv6HostWithPorts",
              [](Vpc& v) {
                v.policy = {{.protocol = 6, .remote = prefix("2001:db8::1/128"), .ports = PortRange{22, 22}}};
              },
              "vpc/blue/policy/0", "MATCH_TOO_WIDE"},
        Fault{"ShortLease", [](Vpc& v) { v.guest_options.lease_seconds = 59; }, "vpc/blue/guest_options",
              "LEASE_OUT_OF_RANGE"},
        Fault{"BadDomain", [](Vpc& v) { v.guest_options.domain = "a..b"; }, "vpc/blue/guest_options",
              "MALFORMED_DOMAIN"},
        Fault{"MulticastDnsServer", [](Vpc& v) { v.guest_options.dns_servers = {ip("224.0.0.251")}; },
              "vpc/blue/guest_options", "NOT_UNICAST"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace berth::dataplane
