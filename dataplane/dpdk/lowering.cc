#include "dataplane/dpdk/lowering.h"

#include "dataplane/pipeline.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>
#include <cstring>

#include <rte_byteorder.h>

namespace berth::dataplane::dpdk {
namespace {

constexpr std::uint8_t kVxlanFlagVni = 0x08;  // RFC 7348 section 5: the I flag
constexpr std::uint8_t kIpv4VersionAndLength = 0x45;
constexpr std::uint32_t kIpv6Version = 6U << 28;
constexpr std::uint8_t kOuterTtl = 64;
constexpr std::uint16_t kAnyFragment = 0x3FFF;  // IPv4's more-fragments bit and offset

rte_ether_addr to_rte(const MacAddress& mac) {
  rte_ether_addr address{};
  std::ranges::copy(mac.bytes, address.addr_bytes);
  return address;
}

rte_be32_t to_rte(const IpAddress& ip) {
  return rte_cpu_to_be_32(ip.v4_host_order());
}

void copy_ipv6(const IpAddress& ip, std::uint8_t (&to)[16]) {
  std::ranges::copy(ip.bytes(), to);
}

rte_ether_addr all_ones_mac() {
  rte_ether_addr address{};
  std::ranges::fill(address.addr_bytes, std::uint8_t{0xFF});
  return address;
}

void set_vni(rte_flow_item_vxlan& item, std::uint32_t vni) {
  item.vni[0] = static_cast<std::uint8_t>(vni >> 16);
  item.vni[1] = static_cast<std::uint8_t>(vni >> 8);
  item.vni[2] = static_cast<std::uint8_t>(vni);
}

// MODIFY_FIELD SET with an immediate value, which has the layout of the matching item's field.
template <typename Value>
rte_flow_action_modify_field set_field(rte_flow_field_id field, const Value& value,
                                       std::uint32_t width_bits) {
  rte_flow_action_modify_field modify{};
  modify.operation = RTE_FLOW_MODIFY_SET;
  modify.dst.field = field;
  modify.src.field = RTE_FLOW_FIELD_VALUE;
  static_assert(sizeof value <= sizeof modify.src.value);
  std::memcpy(modify.src.value, &value, sizeof value);
  modify.width = width_bits;
  return modify;
}

}  // namespace

LoweredRule::LoweredRule(const Rule& rule, SteeringMode mode, const PortNumbering& number_of) : mode_(mode) {
  attr_.group = rule.key.group;
  attr_.priority = rule.key.priority;
  attr_.transfer = 1;
  lower_match(rule.key.match, number_of);
  lower_actions(rule.actions, number_of);
}

LoweredRule::LoweredRule(std::uint16_t red_group) : mode_(SteeringMode::kHardware) {
  attr_.group = red_group;
  attr_.transfer = 1;
  color_.spec.color = RTE_COLOR_RED;
  color_.mask.color = RTE_COLORS;
  add_item(RTE_FLOW_ITEM_TYPE_METER_COLOR, color_);
  add_item(RTE_FLOW_ITEM_TYPE_ETH, eth_);
  items_.at(item_count_) = {
      .type = RTE_FLOW_ITEM_TYPE_END, .spec = nullptr, .last = nullptr, .mask = nullptr};
  add_action(RTE_FLOW_ACTION_TYPE_DROP);
  add_action(RTE_FLOW_ACTION_TYPE_END);
}

void LoweredRule::set_meter(const rte_flow_action_handle* mark) {
  const auto is_meter = [](const rte_flow_action& action) {
    return action.type == RTE_FLOW_ACTION_TYPE_INDIRECT;
  };
  const auto found = std::ranges::find_if(actions_, is_meter);
  if (found != actions_.end()) found->conf = mark;
}

void LoweredRule::lower_match(const Match& match, const PortNumbering& number_of) {
  if (match.source) {
    source_.spec.port_id = number_of(*match.source);
    source_.mask.port_id = 0xFFFF;
    add_item(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT, source_);
  } else if (mode_ == SteeringMode::kSoftware) {
    // Without spec and mask mlx5 leaves the source port out of the match; without the item it would mean
    // the port that the rule is made on (mlx5_flow_dv.c, flow_dv_translate_item_represented_port).
    items_.at(item_count_++) = {
        .type = RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT, .spec = nullptr, .last = nullptr, .mask = nullptr};
  }
  if (match.tag) lower_tag(tag_, 0, *match.tag);
  if (match.policy_tag) lower_tag(policy_tag_, 1, *match.policy_tag);
  if (match.ip || match.eth_src || match.eth_dst || match.ether_type || match.untagged) lower_ethernet(match);
  if (match.ip == IpFamily::kV4) lower_ipv4(match);
  if (match.ip == IpFamily::kV6) lower_ipv6(match);
  if (match.l4_src || match.l4_dst) lower_l4(match);
  if (match.icmpv6_type) {
    icmpv6_.spec.type = *match.icmpv6_type;
    icmpv6_.mask.type = 0xFF;
    add_item(RTE_FLOW_ITEM_TYPE_ICMP6, icmpv6_);
  }
  if (match.vni) {
    set_vni(vxlan_.spec, match.vni->value());
    set_vni(vxlan_.mask, Vni::kMax);
    add_item(RTE_FLOW_ITEM_TYPE_VXLAN, vxlan_);
  }
  items_.at(item_count_) = {
      .type = RTE_FLOW_ITEM_TYPE_END, .spec = nullptr, .last = nullptr, .mask = nullptr};
}

void LoweredRule::lower_tag(SpecAndMask<rte_flow_item_tag>& item, std::uint8_t index, std::uint32_t value) {
  item.spec.data = value;
  item.spec.index = index;
  item.mask.data = 0xFFFFFFFF;
  item.mask.index = 0xFF;
  add_item(RTE_FLOW_ITEM_TYPE_TAG, item);
}

void LoweredRule::lower_ethernet(const Match& match) {
  if (match.eth_src) {
    eth_.spec.hdr.src_addr = to_rte(*match.eth_src);
    eth_.mask.hdr.src_addr = all_ones_mac();
  }
  if (match.eth_dst) {
    eth_.spec.hdr.dst_addr = to_rte(*match.eth_dst);
    eth_.mask.hdr.dst_addr = all_ones_mac();
  }
  if (match.ether_type) {
    eth_.spec.hdr.ether_type = rte_cpu_to_be_16(*match.ether_type);
    eth_.mask.hdr.ether_type = 0xFFFF;
  }
  if (match.untagged) eth_.mask.has_vlan = 1;
  add_item(RTE_FLOW_ITEM_TYPE_ETH, eth_);
}

void LoweredRule::lower_ipv4(const Match& match) {
  if (match.ip_src) {
    ipv4_.spec.hdr.src_addr = to_rte(match.ip_src->address());
    ipv4_.mask.hdr.src_addr = to_rte(match.ip_src->mask());
  }
  if (match.ip_dst) {
    ipv4_.spec.hdr.dst_addr = to_rte(match.ip_dst->address());
    ipv4_.mask.hdr.dst_addr = to_rte(match.ip_dst->mask());
  }
  if (match.unfragmented) ipv4_.mask.hdr.fragment_offset = rte_cpu_to_be_16(kAnyFragment);
  if (match.ip_protocol) {
    ipv4_.spec.hdr.next_proto_id = *match.ip_protocol;
    ipv4_.mask.hdr.next_proto_id = 0xFF;
  }
  add_item(RTE_FLOW_ITEM_TYPE_IPV4, ipv4_);
}

void LoweredRule::lower_ipv6(const Match& match) {
  if (match.ip_src) {
    copy_ipv6(match.ip_src->address(), ipv6_.spec.hdr.src_addr);
    copy_ipv6(match.ip_src->mask(), ipv6_.mask.hdr.src_addr);
  }
  if (match.ip_dst) {
    copy_ipv6(match.ip_dst->address(), ipv6_.spec.hdr.dst_addr);
    copy_ipv6(match.ip_dst->mask(), ipv6_.mask.hdr.dst_addr);
  }
  if (match.unfragmented) ipv6_.mask.has_frag_ext = 1;
  if (match.ip_protocol) {
    ipv6_.spec.hdr.proto = *match.ip_protocol;
    ipv6_.mask.hdr.proto = 0xFF;
  }
  add_item(RTE_FLOW_ITEM_TYPE_IPV6, ipv6_);
}

void LoweredRule::lower_l4(const Match& match) {
  const auto fill = [&match](auto& item) {
    if (match.l4_src) {
      item.spec.hdr.src_port = rte_cpu_to_be_16(match.l4_src->value);
      item.mask.hdr.src_port = rte_cpu_to_be_16(match.l4_src->mask);
    }
    if (match.l4_dst) {
      item.spec.hdr.dst_port = rte_cpu_to_be_16(match.l4_dst->value);
      item.mask.hdr.dst_port = rte_cpu_to_be_16(match.l4_dst->mask);
    }
  };
  if (match.ip_protocol == kProtocolTcp) {
    fill(tcp_);
    add_item(RTE_FLOW_ITEM_TYPE_TCP, tcp_);
  } else {
    fill(udp_);
    add_item(RTE_FLOW_ITEM_TYPE_UDP, udp_);
  }
}

void LoweredRule::lower_actions(const Actions& actions, const PortNumbering& number_of) {
  if (actions.decap) add_action(RTE_FLOW_ACTION_TYPE_VXLAN_DECAP);
  if (actions.count) add_action(RTE_FLOW_ACTION_TYPE_COUNT, &count_);
  if (actions.meter) {
    const bool is_sync = mode_ == SteeringMode::kSoftware;
    add_action(is_sync ? RTE_FLOW_ACTION_TYPE_METER : RTE_FLOW_ACTION_TYPE_INDIRECT,
               is_sync ? &meter_ : nullptr);
  }
  if (actions.set_tag) {
    set_tag_ = set_field(RTE_FLOW_FIELD_TAG, *actions.set_tag, 32);  // host byte order, as TAG items
    add_action(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &set_tag_);
  }
  if (actions.set_policy_tag) {
    set_policy_tag_ = set_field(RTE_FLOW_FIELD_TAG, *actions.set_policy_tag, 32);
    set_policy_tag_.dst.level = 1;  // of a tag: its index
    add_action(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &set_policy_tag_);
  }
  if (actions.set_eth_dst) {
    set_eth_dst_ = set_field(RTE_FLOW_FIELD_MAC_DST, actions.set_eth_dst->bytes, 48);
    add_action(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &set_eth_dst_);
  }
  if (actions.encap) lower_encap(*actions.encap);
  if (const auto* to = std::get_if<JumpTo>(&actions.fate)) {
    jump_.group = to->group;
    add_action(RTE_FLOW_ACTION_TYPE_JUMP, &jump_);
  } else if (const auto* deliver = std::get_if<Deliver>(&actions.fate)) {
    deliver_.port_id = number_of(deliver->port);
    add_action(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &deliver_);
  } else {
    add_action(RTE_FLOW_ACTION_TYPE_DROP);
  }
  add_action(RTE_FLOW_ACTION_TYPE_END);
}

// The outer headers; lengths, IPv4 checksum and UDP source port are the eSwitch's (HP-24, HP-46).
void LoweredRule::lower_encap(const VxlanEncap& encap) {
  encap_eth_.spec.hdr.src_addr = to_rte(encap.eth_src);
  encap_eth_.spec.hdr.dst_addr = to_rte(encap.eth_dst);
  const bool is_v4 = encap.ip_dst.is_v4();
  encap_eth_.spec.hdr.ether_type = rte_cpu_to_be_16(is_v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  encap_eth_.mask.hdr.src_addr = encap_eth_.mask.hdr.dst_addr = all_ones_mac();
  encap_eth_.mask.hdr.ether_type = 0xFFFF;
  if (is_v4) {
    auto& [spec, mask] = encap_ipv4_;
    spec.hdr.version_ihl = kIpv4VersionAndLength;
    spec.hdr.time_to_live = kOuterTtl;
    spec.hdr.next_proto_id = kProtocolUdp;
    spec.hdr.src_addr = to_rte(encap.ip_src);
    spec.hdr.dst_addr = to_rte(encap.ip_dst);
    mask.hdr.version_ihl = mask.hdr.time_to_live = mask.hdr.next_proto_id = 0xFF;
    mask.hdr.src_addr = mask.hdr.dst_addr = 0xFFFFFFFF;
  } else {
    auto& [spec, mask] = encap_ipv6_;
    spec.hdr.vtc_flow = rte_cpu_to_be_32(kIpv6Version);
    spec.hdr.hop_limits = kOuterTtl;
    spec.hdr.proto = kProtocolUdp;
    copy_ipv6(encap.ip_src, spec.hdr.src_addr);
    copy_ipv6(encap.ip_dst, spec.hdr.dst_addr);
    mask.hdr.vtc_flow = rte_cpu_to_be_32(0xFU << 28);
    mask.hdr.hop_limits = mask.hdr.proto = 0xFF;
    std::ranges::fill(mask.hdr.src_addr, std::uint8_t{0xFF});
    std::ranges::fill(mask.hdr.dst_addr, std::uint8_t{0xFF});
  }
  encap_udp_.spec.hdr.dst_port = rte_cpu_to_be_16(kVxlanUdpPort);
  encap_udp_.mask.hdr.dst_port = 0xFFFF;
  encap_vxlan_.spec.flags = encap_vxlan_.mask.flags = kVxlanFlagVni;
  set_vni(encap_vxlan_.spec, encap.vni.value());
  set_vni(encap_vxlan_.mask, Vni::kMax);

  const auto item = [](rte_flow_item_type type, const auto& fields) {
    return rte_flow_item{.type = type, .spec = &fields.spec, .last = nullptr, .mask = &fields.mask};
  };
  encap_items_ = {
      item(RTE_FLOW_ITEM_TYPE_ETH, encap_eth_),
      is_v4 ? item(RTE_FLOW_ITEM_TYPE_IPV4, encap_ipv4_) : item(RTE_FLOW_ITEM_TYPE_IPV6, encap_ipv6_),
      item(RTE_FLOW_ITEM_TYPE_UDP, encap_udp_), item(RTE_FLOW_ITEM_TYPE_VXLAN, encap_vxlan_),
      rte_flow_item{.type = RTE_FLOW_ITEM_TYPE_END, .spec = nullptr, .last = nullptr, .mask = nullptr}};
  encap_.definition = encap_items_.data();
  add_action(RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP, &encap_);
}

}  // namespace berth::dataplane::dpdk
