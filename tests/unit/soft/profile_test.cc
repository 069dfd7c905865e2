// The hardware profile, point by point: what is refused, with which errno, and that the neighbour passes.
#include "dataplane/soft/profile.h"

#include "dataplane/soft/action_list.h"
#include "tests/unit/soft/flow_text.h"

#include <cerrno>
#include <string>

#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

// ethdev 0 is the uplink, 1 and 2 are representors, 3 is of another switch.
PortMap ports() {
  PortMap map;
  map.add(0, kUplink);
  map.add(1, 1);
  map.add(2, 2);
  return map;
}

// "" when accepted, else "ERRNO HP-nn".
std::string verdict(const std::string& text, const ProfileLimits& limits = {}) {
  const FlowText flow = parse_flow(text);
  const PortMap map = ports();
  RuleResult<PatternFacts> facts =
      check_rule(flow.attr, flow.pattern.data(), flow.actions.data(), map, limits);
  RuleError error;
  if (facts) {
    const RuleResult<ActionList> lowered = lower_actions(flow.actions.data(), map);
    if (lowered) return "";
    error = lowered.error();
  } else {
    error = facts.error();
  }
  const std::string message = error.message;
  const std::size_t at = message.rfind("(HP-");
  const std::string point =
      at == std::string::npos ? message : message.substr(at + 1, message.size() - at - 2);
  const std::string name = error.code == EINVAL    ? "EINVAL"
                           : error.code == ENOTSUP ? "ENOTSUP"
                           : error.code == E2BIG   ? "E2BIG"
                                                   : std::to_string(error.code);
  return name + " " + point;
}

std::string with_pattern(const std::string& items, const std::string& port = "1") {
  return verdict("transfer group 1 pattern represented_port ethdev_port_id is " + port + " / " + items +
                 " / end actions drop / end");
}

std::string with_actions(const std::string& actions, const std::string& items = "eth / ipv4 / tcp",
                         const std::string& port = "1") {
  return verdict("transfer group 1 pattern represented_port ethdev_port_id is " + port + " / " + items +
                 " / end actions " + actions + " / end");
}

constexpr const char* kTunnel = "eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 7001 / eth";
constexpr const char* kEncap =
    "vxlan_encap { eth dst 02:00:00:00:00:09 / ipv4 src 10.0.0.1 dst 10.0.0.2 / udp / vxlan vni 7001 }";
constexpr const char* kSetMac =
    "modify_field op set dst_type mac_dst src_type value src_value 020000000001 width 48";
constexpr const char* kSetTag =
    "modify_field op set dst_type tag dst_level 0 src_type value src_value 07000000 width 32";

TEST(Profile, Hp01OnlyTransferRulesAndOnlyPortJumpsInGroupZero) {
  EXPECT_EQ(
      verdict(
          "transfer group 0 pattern represented_port ethdev_port_id is 1 / end actions jump group 1 / end"),
      "");
  EXPECT_EQ(verdict("ingress group 1 pattern represented_port ethdev_port_id is 1 / end actions drop / end"),
            "EINVAL HP-01");
  EXPECT_EQ(verdict("group 1 pattern represented_port ethdev_port_id is 1 / end actions drop / end"),
            "EINVAL HP-01");
  EXPECT_EQ(verdict("transfer pattern represented_port ethdev_port_id is 1 / end actions drop / end"),
            "EINVAL HP-01");
  EXPECT_EQ(
      verdict(
          "transfer pattern represented_port ethdev_port_id is 1 / end actions count / jump group 1 / end"),
      "EINVAL HP-01");
  EXPECT_EQ(verdict("transfer pattern represented_port ethdev_port_id is 1 / eth / ipv4 / end actions jump "
                    "group 1 / end"),
            "EINVAL HP-01");
}

TEST(Profile, Hp02ExactlyOneWholeSourcePortOfThisSwitch) {
  const auto pattern = [](const std::string& items) {
    return verdict("transfer group 1 pattern " + items + " / end actions drop / end");
  };
  EXPECT_EQ(pattern("represented_port ethdev_port_id is 1 / eth"), "");
  EXPECT_EQ(pattern("represented_port ethdev_port_id spec 1 null_mask / eth"), "");
  EXPECT_EQ(pattern("eth"), "EINVAL HP-02");
  EXPECT_EQ(pattern("represented_port / eth"), "") << "every port";
  EXPECT_EQ(pattern("represented_port / represented_port ethdev_port_id is 1 / eth"), "ENOTSUP HP-02");
  EXPECT_EQ(pattern("represented_port ethdev_port_id spec 1 ethdev_port_id mask 0xff / eth"),
            "ENOTSUP HP-02");
  EXPECT_EQ(pattern("represented_port ethdev_port_id is 1 / represented_port ethdev_port_id is 2"),
            "ENOTSUP HP-02");
  EXPECT_EQ(pattern("represented_port ethdev_port_id is 3 / eth"), "EINVAL HP-02");
  EXPECT_EQ(pattern("represented_port ethdev_port_id is 0xffff / eth"), "EINVAL HP-02");
}

TEST(Profile, Hp03JumpsOnlyGoUp) {
  EXPECT_EQ(with_actions("jump group 2"), "");
  EXPECT_EQ(with_actions("jump group 1"), "EINVAL HP-03");
  EXPECT_EQ(with_actions("jump group 0"), "EINVAL HP-03");
}

TEST(Profile, Hp04And07RangesOfPriorityAndGroup) {
  const auto at = [](const std::string& place) {
    return verdict(
        "transfer " + place +
        " pattern represented_port ethdev_port_id is 1 / eth / end actions jump group 65530 / end");
  };
  EXPECT_EQ(at("group 1 priority 21843"), "");
  EXPECT_EQ(at("group 1 priority 21844"), "ENOTSUP HP-04");
  EXPECT_EQ(at("group 0 priority 14"), "");
  EXPECT_EQ(at("group 0 priority 15"), "ENOTSUP HP-04");
  EXPECT_EQ(at("group 65531"), "EINVAL HP-07");
  EXPECT_EQ(with_actions("jump group 65531"), "EINVAL HP-07");
}

TEST(Profile, Hp10LayersStandInOrder) {
  EXPECT_EQ(with_pattern("eth / vlan tci is 5 / ipv4 / udp"), "");
  EXPECT_EQ(with_pattern("ipv4"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / tcp"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 / ipv4"), "ENOTSUP HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp / ipv4"), "ENOTSUP HP-10");
  EXPECT_EQ(with_pattern("eth / vlan / vlan / ipv4"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 / vlan"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 / udp / tcp"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / eth"), "ENOTSUP HP-10");
  EXPECT_EQ(with_pattern("eth / ipv6 / icmp"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / vxlan vni is 5"), "EINVAL HP-10");
  EXPECT_EQ(with_pattern(std::string(kTunnel) + " / ipv4 / udp dst is 4789 / vxlan vni is 5"),
            "ENOTSUP HP-10");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 7001 / ipv4"),
            "EINVAL HP-10");
}

TEST(Profile, Hp11OnlyKnownItemsAndFields) {
  EXPECT_EQ(with_pattern("eth / icmp6_nd_na target is fd00::1"), "ENOTSUP HP-11");
  EXPECT_EQ(with_pattern("eth / arp_eth_ipv4 spa is 10.0.0.1"), "ENOTSUP HP-11");
  EXPECT_EQ(with_pattern("raw"), "ENOTSUP HP-11");
  EXPECT_EQ(with_pattern("eth / ipv4 length is 40"), "ENOTSUP HP-11");
  EXPECT_EQ(with_pattern("eth / ipv6 has_hop_ext is 1"), "ENOTSUP HP-11");
  EXPECT_EQ(with_pattern("eth / ipv6 has_frag_ext is 1"), "");
  EXPECT_EQ(with_pattern("tag index is 3 data is 1 / eth"), "");
  EXPECT_EQ(with_pattern("tag index is 9 data is 1 / eth"), "EINVAL HP-11");
}

TEST(Profile, Hp12NoRangesOnlyPrefixes) {
  EXPECT_EQ(with_pattern("eth / ipv4 src spec 10.0.0.0 src mask 255.255.255.0"), "");
  EXPECT_EQ(with_pattern("eth / ipv4 src spec 10.0.0.0 src mask 255.0.255.0"), "ENOTSUP HP-12");
  EXPECT_EQ(with_pattern("eth / ipv4 src spec 10.0.0.1 src last 10.0.0.9"), "EINVAL HP-12");
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp dst spec 1024 dst last 2047"), "EINVAL HP-12");
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp dst spec 1024 dst mask 0xfc00"), "");
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp dst spec 1 dst mask 0x000f"), "ENOTSUP HP-12");
  EXPECT_EQ(with_pattern("eth type spec 0x0800 type mask 0xff00"), "ENOTSUP HP-12");
}

TEST(Profile, Hp13SpecAndMaskAgree) {
  EXPECT_EQ(with_pattern("eth dst mask ff:ff:ff:ff:ff:ff"), "EINVAL HP-13");
  EXPECT_EQ(with_pattern("eth / ipv4 src spec 10.0.0.1 src mask 255.255.255.0"), "EINVAL HP-13");
  EXPECT_EQ(with_pattern("tag / eth"), "EINVAL HP-13");
}

TEST(Profile, Hp14TunnelsAreMatchedWhole) {
  EXPECT_EQ(with_pattern(kTunnel, "0"), "");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / udp / vxlan vni is 7001", "0"), "EINVAL HP-14");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / udp dst is 5555 / vxlan vni is 7001", "0"),
            "EINVAL HP-14");
  EXPECT_EQ(with_pattern("eth / ipv4 / udp dst is 4789 / vxlan vni is 7001", "0"), "EINVAL HP-14");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 0", "0"),
            "ENOTSUP HP-14");
  EXPECT_EQ(with_pattern("eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan", "0"), "ENOTSUP HP-14");
  EXPECT_EQ(
      with_pattern("eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni spec 0 vni mask 0xff0000", "0"),
      "ENOTSUP HP-12");
}

TEST(Profile, Hp16PatternsFitTheMatchDefiner) {
  EXPECT_EQ(with_pattern(std::string(kTunnel) + " dst is 02:00:00:00:00:01", "0"), "E2BIG HP-16");
  EXPECT_EQ(with_pattern("eth / ipv6 src is fd00::1"), "");
  EXPECT_EQ(with_pattern("eth / ipv6 src is fd00::1 dst is fd00::2"), "E2BIG HP-16");
  EXPECT_EQ(with_pattern("eth src is 02:00:00:00:00:01 / ipv6 src is fd00::1"), "E2BIG HP-16");
  EXPECT_EQ(with_pattern("eth src is 02:00:00:00:00:01 has_vlan is 0 / ipv4 src is 10.0.0.1"), "");
  EXPECT_EQ(
      with_pattern("tag index is 0 data is 1 / eth / ipv4 src is 10.0.0.1 dst is 10.0.0.2 proto is 6 / tcp "
                   "src is 1 dst is 2"),
      "");
  EXPECT_EQ(
      with_pattern("tag index is 0 data is 1 / tag index is 1 data is 1 / eth / ipv4 src is 10.0.0.1 dst is "
                   "10.0.0.2 / tcp dst is 2"),
      "E2BIG HP-16");
  const ProfileLimits newest{.match_dwords = 11};
  EXPECT_EQ(
      verdict("transfer group 1 pattern represented_port ethdev_port_id is 1 / eth / ipv6 src is fd00::1 dst "
              "is fd00::2 / end actions drop / end",
              newest),
      "");
}

TEST(Profile, Hp17ProtocolAgreesAndIsNoTunnel) {
  EXPECT_EQ(with_pattern("eth / ipv4 proto is 6 / tcp"), "");
  EXPECT_EQ(with_pattern("eth / ipv4 proto is 17 / tcp"), "EINVAL HP-17");
  EXPECT_EQ(with_pattern("eth / ipv4 proto is 4"), "EINVAL HP-17");
  EXPECT_EQ(with_pattern("eth / ipv6 proto is 41"), "EINVAL HP-17");
}

TEST(Profile, Hp18TcpFlagsAsAWhole) {
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp flags is 2"), "");
  EXPECT_EQ(with_pattern("eth / ipv4 / tcp flags spec 2 flags mask 2"), "ENOTSUP HP-12");
}

TEST(Profile, Hp20ExactlyOneFate) {
  EXPECT_EQ(with_actions("represented_port ethdev_port_id 2"), "");
  EXPECT_EQ(with_actions("represented_port ethdev_port_id 1"), "");  // back to the source
  EXPECT_EQ(with_actions("count"), "EINVAL HP-20");
  EXPECT_EQ(with_actions("drop / represented_port ethdev_port_id 2"), "EINVAL HP-20");
  EXPECT_EQ(with_actions("represented_port ethdev_port_id 2 / represented_port ethdev_port_id 1"),
            "EINVAL HP-20");
  EXPECT_EQ(with_actions("represented_port ethdev_port_id 3"), "EINVAL HP-20");
  EXPECT_EQ(with_actions("represented_port ethdev_port_id 0", "eth", "0"), "EINVAL HP-20");
}

TEST(Profile, Hp21ActionsStandInTheHardwaresOrder) {
  const std::string tunnel = std::string(kTunnel) + " / ipv4";
  EXPECT_EQ(with_actions("vxlan_decap / count / " + std::string(kSetTag) + " / jump group 2", tunnel, "0"),
            "");
  EXPECT_EQ(with_actions(std::string("count / ") + kSetMac + " / " + kEncap +
                         " / represented_port ethdev_port_id 0"),
            "");
  EXPECT_EQ(with_actions("count / vxlan_decap / jump group 2", tunnel, "0"), "EINVAL HP-21");
  EXPECT_EQ(with_actions(std::string(kSetTag) + " / vxlan_decap / jump group 2", tunnel, "0"),
            "EINVAL HP-21");
  EXPECT_EQ(with_actions(std::string(kSetMac) + " / count / jump group 2"), "EINVAL HP-21");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / count / represented_port ethdev_port_id 0"),
            "EINVAL HP-21");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / " + kSetMac + " / represented_port ethdev_port_id 0"),
            "EINVAL HP-21");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / " + kEncap + " / represented_port ethdev_port_id 0"),
            "EINVAL HP-21");
  EXPECT_EQ(with_actions("jump group 2 / count"), "EINVAL HP-21");
}

TEST(Profile, Hp22And23TunnelsOnlyAtTheUplinkAndNeverBothWays) {
  const std::string tunnel = kTunnel;
  EXPECT_EQ(with_actions("vxlan_decap / jump group 2", tunnel, "1"), "ENOTSUP HP-23");
  EXPECT_EQ(with_actions("vxlan_decap / jump group 2", "eth / ipv4", "0"), "ENOTSUP HP-23");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / represented_port ethdev_port_id 2"), "ENOTSUP HP-23");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / represented_port ethdev_port_id 1", tunnel, "0"),
            "ENOTSUP HP-23");
  EXPECT_EQ(with_actions(std::string("vxlan_decap / ") + kEncap + " / represented_port ethdev_port_id 1",
                         tunnel, "0"),
            "ENOTSUP HP-22");
}

TEST(Profile, Hp24EncapIsEthIpUdpVxlan) {
  const auto encap = [](const std::string& definition) {
    return with_actions("vxlan_encap { " + definition + " } / represented_port ethdev_port_id 0");
  };
  EXPECT_EQ(encap("eth / vlan tci 5 / ipv6 src fd00::1 dst fd00::2 / udp dst 4789 / vxlan vni 7"), "");
  EXPECT_EQ(encap("eth / ipv4 / udp"), "EINVAL HP-24");
  EXPECT_EQ(encap("ipv4 / udp / vxlan"), "EINVAL HP-24");
  EXPECT_EQ(encap("eth / ipv4 / udp dst 5555 / vxlan"), "EINVAL HP-24");
  EXPECT_EQ(encap("eth / ipv4 / udp checksum 1 / vxlan"), "EINVAL HP-24");
  EXPECT_EQ(encap("eth / ipv4 / udp / vxlan / eth"), "EINVAL HP-24");
  EXPECT_EQ(with_actions("encap_null / represented_port ethdev_port_id 0"), "EINVAL HP-24");
}

TEST(Profile, Hp25And26LimitedModificationsAndNoOtherActions) {
  std::string many;
  for (int i = 0; i < 16; ++i) many += std::string(kSetMac) + " / ";
  EXPECT_EQ(with_actions(many + "jump group 2"), "");
  EXPECT_EQ(with_actions(many + kSetMac + " / jump group 2"), "ENOTSUP HP-25");
  for (const std::string action :
       {"raw_encap", "raw_decap", "sample", "mark", "queue", "conntrack", "of_pop_vlan", "set_mac_dst",
        "set_ipv4_src", "set_tp_src", "set_tag", "dec_ttl", "port_representor ethdev_port_id 1"}) {
    EXPECT_EQ(with_actions(action + " / jump group 2"), "ENOTSUP HP-26") << action;
  }
}

TEST(Profile, Hp27ModifiesWholeFieldsOfMatchedHeaders) {
  const auto set = [](const std::string& what, const std::string& items = "eth / ipv4 / tcp") {
    return with_actions("modify_field op set dst_type " + what + " / jump group 2", items);
  };
  EXPECT_EQ(set("ipv4_dst src_type value src_value 0a000001 width 32"), "");
  EXPECT_EQ(set("tcp_port_dst src_type value src_value 0050 width 16"), "");
  EXPECT_EQ(set("udp_port_dst src_type value src_value 0050 width 16"), "EINVAL HP-27");
  EXPECT_EQ(set("ipv6_dst src_type value src_value 00 width 128"), "EINVAL HP-27");
  EXPECT_EQ(set("ipv4_dst src_type value src_value 0a000001 width 32", "eth"), "EINVAL HP-27");
  EXPECT_EQ(set("vxlan_vni src_type value src_value 07 width 24"), "ENOTSUP HP-27");
  EXPECT_EQ(set("vlan_id src_type value src_value 07 width 12"), "ENOTSUP HP-27");
  EXPECT_EQ(set("ipv4_dst dst_level 1 src_type value src_value 0a000001 width 32"), "ENOTSUP HP-27");
  EXPECT_EQ(set("ipv4_dst src_type value src_value 0a000001 width 16"), "ENOTSUP HP-27");
  EXPECT_EQ(set("ipv4_dst src_type value src_value 0a000001 width 0"), "EINVAL HP-27");
  EXPECT_EQ(set("ipv4_ttl src_type value src_value 01 width 9"), "EINVAL HP-27");
  EXPECT_EQ(set("ipv4_dst src_type tag width 32"), "ENOTSUP HP-27");
  EXPECT_EQ(set("tag dst_level 3 dst_offset 8 src_type value src_value 00070000 width 8"), "");
  EXPECT_EQ(set("tag dst_level 4 src_type value src_value 07000000 width 32"), "EINVAL HP-27");
  EXPECT_EQ(with_actions(
                "modify_field op add dst_type ipv4_ttl src_type value src_value ff width 8 / jump group 2"),
            "ENOTSUP HP-27");
  // After a decap the inner headers count.
  const std::string set_ip =
      "vxlan_decap / modify_field op set dst_type ipv4_dst src_type value src_value 0a000001 width 32 / jump "
      "group 2";
  EXPECT_EQ(with_actions(set_ip, kTunnel, "0"), "EINVAL HP-27");
  EXPECT_EQ(with_actions(set_ip, std::string(kTunnel) + " / ipv4", "0"), "");
}

TEST(Profile, Hp28And31CountOnceAndDropAlone) {
  EXPECT_EQ(with_actions("count / drop"), "");
  EXPECT_EQ(with_actions("count / count / drop"), "EINVAL HP-28");
  EXPECT_EQ(with_actions(std::string(kSetMac) + " / drop"), "EINVAL HP-31");
  EXPECT_EQ(with_actions(std::string(kEncap) + " / drop"), "EINVAL HP-31");
}

}  // namespace
}  // namespace berth::soft::test
