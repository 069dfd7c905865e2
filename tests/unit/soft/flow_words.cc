#include "tests/unit/soft/flow_words.h"

namespace berth::soft::test {

const std::map<std::string, Item>& items() {
  using namespace std::string_literals;
  static const std::map<std::string, Item> all{
      {"void", {RTE_FLOW_ITEM_TYPE_VOID, 0, {}}},
      {"represented_port",
       {RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT,
        sizeof(rte_flow_item_ethdev),
        {{"ethdev_port_id", {0, 2, Kind::kHost}}}}},
      {"port_representor",
       {RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR,
        sizeof(rte_flow_item_ethdev),
        {{"ethdev_port_id", {0, 2, Kind::kHost}}}}},
      {"port_id", {RTE_FLOW_ITEM_TYPE_PORT_ID, sizeof(rte_flow_item_port_id), {{"id", {4, 4, Kind::kHost}}}}},
      {"eth",
       {RTE_FLOW_ITEM_TYPE_ETH,
        sizeof(rte_flow_item_eth),
        {{"dst", {0, 6, Kind::kMac}},
         {"src", {6, 6, Kind::kMac}},
         {"type", {12, 2, Kind::kBig}},
         {"has_vlan", {12, 16, Kind::kBit}}}}},
      {"vlan",
       {RTE_FLOW_ITEM_TYPE_VLAN,
        sizeof(rte_flow_item_vlan),
        {{"tci", {0, 2, Kind::kBig}},
         {"inner_type", {2, 2, Kind::kBig}},
         {"has_more_vlan", {4, 0, Kind::kBit}}}}},
      {"ipv4",
       {RTE_FLOW_ITEM_TYPE_IPV4,
        sizeof(rte_flow_item_ipv4),
        {{"tos", {1, 1, Kind::kBig}},
         {"length", {2, 2, Kind::kBig}},
         {"fragment_offset", {6, 2, Kind::kBig}},
         {"ttl", {8, 1, Kind::kBig}},
         {"proto", {9, 1, Kind::kBig}},
         {"src", {12, 4, Kind::kIpv4}},
         {"dst", {16, 4, Kind::kIpv4}}}}},
      {"ipv6",
       {RTE_FLOW_ITEM_TYPE_IPV6,
        sizeof(rte_flow_item_ipv6),
        {{"flow", {0, 4, Kind::kBig}},
         {"proto", {6, 1, Kind::kBig}},
         {"hop", {7, 1, Kind::kBig}},
         {"src", {8, 16, Kind::kIpv6}},
         {"dst", {24, 16, Kind::kIpv6}},
         {"has_hop_ext", {40, 0, Kind::kBit}},
         {"has_frag_ext", {40, 2, Kind::kBit}}}}},
      {"udp",
       {RTE_FLOW_ITEM_TYPE_UDP,
        sizeof(rte_flow_item_udp),
        {{"src", {0, 2, Kind::kBig}}, {"dst", {2, 2, Kind::kBig}}, {"checksum", {6, 2, Kind::kBig}}}}},
      {"tcp",
       {RTE_FLOW_ITEM_TYPE_TCP,
        sizeof(rte_flow_item_tcp),
        {{"src", {0, 2, Kind::kBig}}, {"dst", {2, 2, Kind::kBig}}, {"flags", {13, 1, Kind::kBig}}}}},
      {"icmp",
       {RTE_FLOW_ITEM_TYPE_ICMP,
        sizeof(rte_flow_item_icmp),
        {{"type", {0, 1, Kind::kBig}}, {"code", {1, 1, Kind::kBig}}}}},
      {"icmp6",
       {RTE_FLOW_ITEM_TYPE_ICMP6,
        sizeof(rte_flow_item_icmp6),
        {{"type", {0, 1, Kind::kBig}}, {"code", {1, 1, Kind::kBig}}}}},
      {"vxlan", {RTE_FLOW_ITEM_TYPE_VXLAN, sizeof(rte_flow_item_vxlan), {{"vni", {4, 3, Kind::kBig}}}}},
      {"tag",
       {RTE_FLOW_ITEM_TYPE_TAG,
        sizeof(rte_flow_item_tag),
        {{"data", {0, 4, Kind::kHost}}, {"index", {4, 1, Kind::kHost}}}}},
      {"arp_eth_ipv4",
       {RTE_FLOW_ITEM_TYPE_ARP_ETH_IPV4,
        sizeof(rte_flow_item_arp_eth_ipv4),
        {{"spa", {14, 4, Kind::kIpv4}}}}},
      {"icmp6_nd_na",
       {RTE_FLOW_ITEM_TYPE_ICMP6_ND_NA,
        sizeof(rte_flow_item_icmp6_nd_na),
        {{"target", {8, 16, Kind::kIpv6}}}}},
      {"raw", {RTE_FLOW_ITEM_TYPE_RAW, sizeof(rte_flow_item_raw), {}}},
      {"conntrack",
       {RTE_FLOW_ITEM_TYPE_CONNTRACK, sizeof(rte_flow_item_conntrack), {{"flags", {0, 4, Kind::kHost}}}}},
      {"meter_color",
       {RTE_FLOW_ITEM_TYPE_METER_COLOR, sizeof(rte_flow_item_meter_color), {{"color", {0, 4, Kind::kHost}}}}},
  };
  return all;
}

const std::map<std::string, Action>& actions() {
  static const Field kMac{0, 6, Kind::kMac};
  static const Field kIpv4{0, 4, Kind::kIpv4};
  static const Field kIpv6{0, 16, Kind::kIpv6};
  static const Field kPort{0, 2, Kind::kBig};
  static const std::map<std::string, Action> all{
      {"port_id",
       {RTE_FLOW_ACTION_TYPE_PORT_ID,
        sizeof(rte_flow_action_port_id),
        {{"original", {0, 0, Kind::kBit}}, {"id", {4, 4, Kind::kHost}}}}},
      {"set_mac_src", {RTE_FLOW_ACTION_TYPE_SET_MAC_SRC, 6, {{"mac_addr", kMac}}}},
      {"set_mac_dst", {RTE_FLOW_ACTION_TYPE_SET_MAC_DST, 6, {{"mac_addr", kMac}}}},
      {"set_ipv4_src", {RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC, 4, {{"ipv4_addr", kIpv4}}}},
      {"set_ipv4_dst", {RTE_FLOW_ACTION_TYPE_SET_IPV4_DST, 4, {{"ipv4_addr", kIpv4}}}},
      {"set_ipv6_src", {RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC, 16, {{"ipv6_addr", kIpv6}}}},
      {"set_ipv6_dst", {RTE_FLOW_ACTION_TYPE_SET_IPV6_DST, 16, {{"ipv6_addr", kIpv6}}}},
      {"set_ttl", {RTE_FLOW_ACTION_TYPE_SET_TTL, 1, {{"ttl_value", {0, 1, Kind::kBig}}}}},
      {"set_tp_src", {RTE_FLOW_ACTION_TYPE_SET_TP_SRC, 2, {{"port", kPort}}}},
      {"set_tp_dst", {RTE_FLOW_ACTION_TYPE_SET_TP_DST, 2, {{"port", kPort}}}},
  };
  return all;
}

const std::map<std::string, rte_flow_field_id>& modify_targets() {
  static const std::map<std::string, rte_flow_field_id> all{
      {"mac_dst", RTE_FLOW_FIELD_MAC_DST},
      {"mac_src", RTE_FLOW_FIELD_MAC_SRC},
      {"vlan_id", RTE_FLOW_FIELD_VLAN_ID},
      {"ipv4_ttl", RTE_FLOW_FIELD_IPV4_TTL},
      {"ipv4_src", RTE_FLOW_FIELD_IPV4_SRC},
      {"ipv4_dst", RTE_FLOW_FIELD_IPV4_DST},
      {"ipv6_hoplimit", RTE_FLOW_FIELD_IPV6_HOPLIMIT},
      {"ipv6_src", RTE_FLOW_FIELD_IPV6_SRC},
      {"ipv6_dst", RTE_FLOW_FIELD_IPV6_DST},
      {"tcp_port_src", RTE_FLOW_FIELD_TCP_PORT_SRC},
      {"tcp_port_dst", RTE_FLOW_FIELD_TCP_PORT_DST},
      {"udp_port_src", RTE_FLOW_FIELD_UDP_PORT_SRC},
      {"udp_port_dst", RTE_FLOW_FIELD_UDP_PORT_DST},
      {"vxlan_vni", RTE_FLOW_FIELD_VXLAN_VNI},
      {"tag", RTE_FLOW_FIELD_TAG},
      {"value", RTE_FLOW_FIELD_VALUE},
  };
  return all;
}

}  // namespace berth::soft::test
