// A rule as rte_flow's items and actions, in the dialect of either steering engine. Pure; owns every
// structure that the arrays point to.
//
//                        software steering           hardware steering
//   every source port    item without spec and mask  no item
//   meter                METER with its number       INDIRECT, a METER_MARK
#pragma once

#include "dataplane/dpdk/steering.h"
#include "dataplane/rule.h"
#include "dataplane/rule_text.h"

#include <array>
#include <cstdint>
#include <string>

#include <rte_flow.h>

namespace berth::dataplane::dpdk {

// LIFETIME: items() and actions() point into the object, which therefore neither moves nor copies.
class LoweredRule {
 public:
  LoweredRule(const Rule& rule, SteeringMode mode, const PortNumbering& number_of);
  // Hardware steering's other half of a meter: drops, in `group`, what the meter before marked red.
  static LoweredRule red_drop(std::uint16_t group) { return LoweredRule(group); }
  LoweredRule(const LoweredRule&) = delete;
  LoweredRule& operator=(const LoweredRule&) = delete;

  // The rule's own priority otherwise.
  void set_priority(std::uint32_t priority) { attr_.priority = priority; }
  // For a rule with a meter: the meter's number, or the handle of its METER_MARK.
  void set_meter(std::uint32_t id) { meter_.mtr_id = id; }
  void set_meter(const rte_flow_action_handle* mark);

  // The same for rules that can share a template: items with their masks, and types of actions.
  const std::string& shape() const { return shape_; }

  const rte_flow_attr& attr() const { return attr_; }
  const rte_flow_item* items() const { return items_.data(); }        // ends with ITEM_TYPE_END
  const rte_flow_action* actions() const { return actions_.data(); }  // ends with ACTION_TYPE_END

 private:
  template <typename Spec>
  struct SpecAndMask {
    Spec spec{};
    Spec mask{};
  };

  void lower_match(const Match& match, const PortNumbering& number_of);
  void lower_tag(SpecAndMask<rte_flow_item_tag>& item, std::uint8_t index, std::uint32_t value);
  void lower_ethernet(const Match& match);
  void lower_ipv4(const Match& match);
  void lower_ipv6(const Match& match);
  void lower_l4(const Match& match);
  void lower_actions(const Actions& actions, const PortNumbering& number_of);
  void lower_encap(const VxlanEncap& encap);
  template <typename Spec>
  void add_item(rte_flow_item_type type, const SpecAndMask<Spec>& fields) {
    items_.at(item_count_++) = {.type = type, .spec = &fields.spec, .last = nullptr, .mask = &fields.mask};
    shape_.append(reinterpret_cast<const char*>(&type), sizeof type);
    shape_.append(reinterpret_cast<const char*>(&fields.mask), sizeof fields.mask);
  }
  void add_action(rte_flow_action_type type, const void* conf = nullptr) {
    actions_.at(action_count_++) = {.type = type, .conf = conf};
    shape_.append(reinterpret_cast<const char*>(&type), sizeof type);
  }

  explicit LoweredRule(std::uint16_t red_group);

  SteeringMode mode_;
  std::string shape_;
  rte_flow_attr attr_{};

  // port, two tags, eth, ipv4 or ipv6, tcp or udp or icmp6, vxlan, end
  std::array<rte_flow_item, 8> items_{};
  std::size_t item_count_ = 0;
  SpecAndMask<rte_flow_item_ethdev> source_;
  SpecAndMask<rte_flow_item_tag> tag_;
  SpecAndMask<rte_flow_item_tag> policy_tag_;
  SpecAndMask<rte_flow_item_eth> eth_;
  SpecAndMask<rte_flow_item_ipv4> ipv4_;
  SpecAndMask<rte_flow_item_ipv6> ipv6_;
  SpecAndMask<rte_flow_item_tcp> tcp_;
  SpecAndMask<rte_flow_item_udp> udp_;
  SpecAndMask<rte_flow_item_icmp6> icmpv6_;
  SpecAndMask<rte_flow_item_vxlan> vxlan_;
  SpecAndMask<rte_flow_item_meter_color> color_;

  // decap, count, meter, two tags, mac, encap, fate, end
  std::array<rte_flow_action, 9> actions_{};
  std::size_t action_count_ = 0;
  rte_flow_action_count count_{};
  rte_flow_action_meter meter_{};
  rte_flow_action_modify_field set_tag_{};
  rte_flow_action_modify_field set_policy_tag_{};
  rte_flow_action_modify_field set_eth_dst_{};
  rte_flow_action_jump jump_{};
  rte_flow_action_ethdev deliver_{};

  rte_flow_action_vxlan_encap encap_{};
  std::array<rte_flow_item, 5> encap_items_{};  // eth, ipv4 or ipv6, udp, vxlan, end
  SpecAndMask<rte_flow_item_eth> encap_eth_;
  SpecAndMask<rte_flow_item_ipv4> encap_ipv4_;
  SpecAndMask<rte_flow_item_ipv6> encap_ipv6_;
  SpecAndMask<rte_flow_item_udp> encap_udp_;
  SpecAndMask<rte_flow_item_vxlan> encap_vxlan_;
};

}  // namespace berth::dataplane::dpdk
