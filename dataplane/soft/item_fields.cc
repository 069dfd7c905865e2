#include "dataplane/soft/item_fields.h"

#include <array>
#include <cstddef>

#include <rte_byteorder.h>

namespace berth::soft {
namespace {

constexpr std::uint16_t at(std::size_t offset) {
  return static_cast<std::uint16_t>(offset);
}

constexpr std::array kEthernetFields{
    ItemField{0, at(offsetof(LayerFields, dst_mac)), 6, MaskShape::kPrefix},
    ItemField{6, at(offsetof(LayerFields, src_mac)), 6, MaskShape::kPrefix},
    ItemField{12, at(offsetof(LayerFields, ether_type)), 2, MaskShape::kExact},
};
constexpr std::array kVlanFields{
    ItemField{0, at(offsetof(LayerFields, vlan_tci)), 2, MaskShape::kAny},
    ItemField{2, at(offsetof(LayerFields, ether_type)), 2, MaskShape::kExact},
};
constexpr std::array kIpv4Fields{
    ItemField{at(offsetof(rte_ipv4_hdr, type_of_service)), at(offsetof(LayerFields, tos)), 1,
              MaskShape::kAny},
    ItemField{at(offsetof(rte_ipv4_hdr, fragment_offset)), at(offsetof(LayerFields, fragment)), 2,
              MaskShape::kAny},
    ItemField{at(offsetof(rte_ipv4_hdr, time_to_live)), at(offsetof(LayerFields, ttl)), 1,
              MaskShape::kPrefix},
    ItemField{at(offsetof(rte_ipv4_hdr, next_proto_id)), at(offsetof(LayerFields, protocol)), 1,
              MaskShape::kExact},
    ItemField{at(offsetof(rte_ipv4_hdr, src_addr)), at(kIpv4Source), 4, MaskShape::kPrefix},
    ItemField{at(offsetof(rte_ipv4_hdr, dst_addr)), at(kIpv4Destination), 4, MaskShape::kPrefix},
};
constexpr std::array kIpv6Fields{
    ItemField{at(offsetof(rte_ipv6_hdr, proto)), at(offsetof(LayerFields, protocol)), 1, MaskShape::kExact},
    ItemField{at(offsetof(rte_ipv6_hdr, hop_limits)), at(offsetof(LayerFields, ttl)), 1, MaskShape::kPrefix},
    ItemField{at(offsetof(rte_ipv6_hdr, src_addr)), at(kIpv6Source), 16, MaskShape::kPrefix},
    ItemField{at(offsetof(rte_ipv6_hdr, dst_addr)), at(kIpv6Destination), 16, MaskShape::kPrefix},
};
constexpr std::array kUdpFields{
    ItemField{at(offsetof(rte_udp_hdr, src_port)), at(offsetof(LayerFields, src_port)), 2,
              MaskShape::kPrefix},
    ItemField{at(offsetof(rte_udp_hdr, dst_port)), at(offsetof(LayerFields, dst_port)), 2,
              MaskShape::kPrefix},
};
constexpr std::array kTcpFields{
    ItemField{at(offsetof(rte_tcp_hdr, src_port)), at(offsetof(LayerFields, src_port)), 2,
              MaskShape::kPrefix},
    ItemField{at(offsetof(rte_tcp_hdr, dst_port)), at(offsetof(LayerFields, dst_port)), 2,
              MaskShape::kPrefix},
    ItemField{at(offsetof(rte_tcp_hdr, tcp_flags)), at(offsetof(LayerFields, tcp_flags)), 1,
              MaskShape::kExact},
};
// ICMP's type and code stand where the ports are.
constexpr std::array kIcmpFields{
    ItemField{0, at(offsetof(LayerFields, src_port)), 1, MaskShape::kExact},
    ItemField{1, at(offsetof(LayerFields, src_port) + 1), 1, MaskShape::kExact},
};
constexpr std::array kVxlanFields{
    ItemField{4, at(offsetof(LayerFields, vni)), 3, MaskShape::kExact},
};

// rte_flow_item_*_mask of rte_flow.h, which C++ does not see.
constexpr rte_flow_item_ethdev kPortMask{.port_id = 0xffff};
const rte_flow_item_eth kEthernetMask = [] {
  rte_flow_item_eth mask{};
  mask.hdr.dst_addr = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  mask.hdr.src_addr = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  return mask;
}();
const rte_flow_item_vlan kVlanMask = [] {
  rte_flow_item_vlan mask{};
  mask.hdr.vlan_tci = RTE_BE16(0x0fff);
  return mask;
}();
const rte_flow_item_ipv4 kIpv4Mask = [] {
  rte_flow_item_ipv4 mask{};
  mask.hdr.src_addr = 0xffffffff;
  mask.hdr.dst_addr = 0xffffffff;
  return mask;
}();
const rte_flow_item_ipv6 kIpv6Mask = [] {
  rte_flow_item_ipv6 mask{};
  for (std::uint8_t& byte : mask.hdr.src_addr) byte = 0xff;
  for (std::uint8_t& byte : mask.hdr.dst_addr) byte = 0xff;
  return mask;
}();
const rte_flow_item_udp kUdpMask{
    .hdr = {.src_port = 0xffff, .dst_port = 0xffff, .dgram_len = 0, .dgram_cksum = 0}};
const rte_flow_item_tcp kTcpMask = [] {
  rte_flow_item_tcp mask{};
  mask.hdr.src_port = 0xffff;
  mask.hdr.dst_port = 0xffff;
  return mask;
}();
const rte_flow_item_icmp kIcmpMask = [] {
  rte_flow_item_icmp mask{};
  mask.hdr.icmp_type = 0xff;
  mask.hdr.icmp_code = 0xff;
  return mask;
}();
const rte_flow_item_icmp6 kIcmp6Mask{.type = 0xff, .code = 0xff, .checksum = 0};
const rte_flow_item_vxlan kVxlanMask = [] {
  rte_flow_item_vxlan mask{};
  mask.hdr.vx_vni = RTE_BE32(0xffffff00);
  return mask;
}();
const rte_flow_item_meter_color kColorMask{.color = RTE_COLORS};
const rte_flow_item_tag kTagMask{.data = 0xffffffff, .index = 0xff};

// bytes in front of the bit-fields, and of the whole struct
const std::array kShapes{
    ItemShape{RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT,
              ItemLevel::kPort,
              sizeof(rte_flow_item_ethdev),
              sizeof(rte_flow_item_ethdev),
              Presence{},
              &kPortMask,
              {}},
    ItemShape{RTE_FLOW_ITEM_TYPE_ETH, ItemLevel::kEthernet, sizeof(rte_flow_item_eth), sizeof(rte_ether_hdr),
              kHasEthernet, &kEthernetMask, kEthernetFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_VLAN, ItemLevel::kVlan, sizeof(rte_flow_item_vlan), sizeof(rte_vlan_hdr),
              kHasVlan, &kVlanMask, kVlanFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_IPV4, ItemLevel::kL3, sizeof(rte_flow_item_ipv4), sizeof(rte_ipv4_hdr),
              kHasIpv4, &kIpv4Mask, kIpv4Fields},
    ItemShape{RTE_FLOW_ITEM_TYPE_IPV6, ItemLevel::kL3, sizeof(rte_flow_item_ipv6), sizeof(rte_ipv6_hdr),
              kHasIpv6, &kIpv6Mask, kIpv6Fields},
    ItemShape{RTE_FLOW_ITEM_TYPE_UDP, ItemLevel::kL4, sizeof(rte_flow_item_udp), sizeof(rte_udp_hdr), kHasUdp,
              &kUdpMask, kUdpFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_TCP, ItemLevel::kL4, sizeof(rte_flow_item_tcp), sizeof(rte_tcp_hdr), kHasTcp,
              &kTcpMask, kTcpFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_ICMP, ItemLevel::kL4, sizeof(rte_flow_item_icmp), sizeof(rte_icmp_hdr),
              kHasIcmp, &kIcmpMask, kIcmpFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_ICMP6, ItemLevel::kL4, sizeof(rte_flow_item_icmp6),
              sizeof(rte_flow_item_icmp6), kHasIcmp6, &kIcmp6Mask, kIcmpFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_VXLAN, ItemLevel::kTunnel, sizeof(rte_flow_item_vxlan),
              sizeof(rte_vxlan_hdr), kHasVxlan, &kVxlanMask, kVxlanFields},
    ItemShape{RTE_FLOW_ITEM_TYPE_TAG,
              ItemLevel::kTag,
              sizeof(rte_flow_item_tag),
              sizeof(rte_flow_item_tag),
              Presence{},
              &kTagMask,
              {}},
    ItemShape{RTE_FLOW_ITEM_TYPE_METER_COLOR,
              ItemLevel::kTag,
              sizeof(rte_flow_item_meter_color),
              sizeof(rte_flow_item_meter_color),
              Presence{},
              &kColorMask,
              {}},
};

}  // namespace

const ItemShape* item_shape(rte_flow_item_type type) {
  for (const ItemShape& shape : kShapes) {
    if (shape.type == type) return &shape;
  }
  return nullptr;
}

const std::uint8_t* mask_of(const rte_flow_item& item, const ItemShape& shape) {
  return static_cast<const std::uint8_t*>(item.mask != nullptr ? item.mask : shape.default_mask);
}

}  // namespace berth::soft
