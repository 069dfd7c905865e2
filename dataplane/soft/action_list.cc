#include "dataplane/soft/action_list.h"

#include <array>
#include <cstring>
#include <utility>

namespace berth::soft {
namespace {

constexpr const char* kNoL2 = "no L2 item in pattern (HP-27)";
constexpr const char* kNoIpv4 = "no ipv4 item in pattern (HP-27)";
constexpr const char* kNoIpv6 = "no ipv6 item in pattern (HP-27)";
constexpr const char* kNoL4 = "no transport layer in pattern (HP-27)";

Modify lower_modify(const rte_flow_action_modify_field& action) {
  const ModifyShape& shape = *modify_shape(action.dst.field);
  const std::uint8_t* value = action.src.field == RTE_FLOW_FIELD_POINTER
                                  ? static_cast<const std::uint8_t*>(action.src.pvalue)
                                  : action.src.value;
  Modify modify{.field = shape.field};
  if (shape.field == ModifyField::kTag) {
    // The value lies in the item's own layout: a whole tag, of which some bits are taken.
    std::uint32_t data = 0;
    std::memcpy(&data, value, sizeof(data));
    const std::uint32_t bits = action.width >= 32 ? 0xffffffffU : (1U << action.width) - 1;
    modify.tag_index = static_cast<std::uint8_t>(action.dst.level);
    modify.tag_mask = bits << action.dst.offset;
    modify.tag_value = data & modify.tag_mask;
  } else {
    std::memcpy(modify.value.data(), value, shape.bytes);
  }
  return modify;
}

// The configuration of every legacy action is the value, in wire order, from its first byte on.
Modify lower_legacy_set(const rte_flow_action& action, std::uint16_t layers) {
  const ModifyShape& shape = *legacy_modify_shape(action.type, layers);
  Modify modify{.field = shape.field};
  std::memcpy(modify.value.data(), action.conf, shape.bytes);
  return modify;
}

}  // namespace

const ModifyShape* modify_shape(rte_flow_field_id field) {
  using Row = std::pair<rte_flow_field_id, ModifyShape>;
  static constexpr std::array kShapes{
      Row{RTE_FLOW_FIELD_MAC_SRC, {ModifyField::kSourceMac, 6, kHasEthernet, kNoL2}},
      Row{RTE_FLOW_FIELD_MAC_DST, {ModifyField::kDestinationMac, 6, kHasEthernet, kNoL2}},
      Row{RTE_FLOW_FIELD_IPV4_SRC, {ModifyField::kIpv4Source, 4, kHasIpv4, kNoIpv4}},
      Row{RTE_FLOW_FIELD_IPV4_DST, {ModifyField::kIpv4Destination, 4, kHasIpv4, kNoIpv4}},
      Row{RTE_FLOW_FIELD_IPV4_TTL, {ModifyField::kIpv4Ttl, 1, kHasIpv4, kNoIpv4}},
      Row{RTE_FLOW_FIELD_IPV6_SRC, {ModifyField::kIpv6Source, 16, kHasIpv6, kNoIpv6}},
      Row{RTE_FLOW_FIELD_IPV6_DST, {ModifyField::kIpv6Destination, 16, kHasIpv6, kNoIpv6}},
      Row{RTE_FLOW_FIELD_IPV6_HOPLIMIT, {ModifyField::kIpv6HopLimit, 1, kHasIpv6, kNoIpv6}},
      Row{RTE_FLOW_FIELD_UDP_PORT_SRC, {ModifyField::kSourcePort, 2, kHasUdp, kNoL4}},
      Row{RTE_FLOW_FIELD_UDP_PORT_DST, {ModifyField::kDestinationPort, 2, kHasUdp, kNoL4}},
      Row{RTE_FLOW_FIELD_TCP_PORT_SRC, {ModifyField::kSourcePort, 2, kHasTcp, kNoL4}},
      Row{RTE_FLOW_FIELD_TCP_PORT_DST, {ModifyField::kDestinationPort, 2, kHasTcp, kNoL4}},
      Row{RTE_FLOW_FIELD_TAG, {ModifyField::kTag, 4, 0, ""}},
  };
  for (const Row& row : kShapes) {
    if (row.first == field) return &row.second;
  }
  return nullptr;
}

bool is_legacy_set(rte_flow_action_type type) {
  switch (type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DST:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
      return true;
    default:
      return false;
  }
}

const ModifyShape* legacy_modify_shape(rte_flow_action_type type, std::uint16_t layers) {
  const bool is_tcp = (layers & kHasTcp) != 0;
  const bool is_v6 = (layers & kHasIpv6) != 0;
  switch (type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
      return modify_shape(RTE_FLOW_FIELD_MAC_SRC);
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
      return modify_shape(RTE_FLOW_FIELD_MAC_DST);
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC:
      return modify_shape(RTE_FLOW_FIELD_IPV4_SRC);
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DST:
      return modify_shape(RTE_FLOW_FIELD_IPV4_DST);
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
      return modify_shape(RTE_FLOW_FIELD_IPV6_SRC);
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
      return modify_shape(RTE_FLOW_FIELD_IPV6_DST);
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
      return modify_shape(is_v6 ? RTE_FLOW_FIELD_IPV6_HOPLIMIT : RTE_FLOW_FIELD_IPV4_TTL);
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
      return modify_shape(is_tcp ? RTE_FLOW_FIELD_TCP_PORT_SRC : RTE_FLOW_FIELD_UDP_PORT_SRC);
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
      return modify_shape(is_tcp ? RTE_FLOW_FIELD_TCP_PORT_DST : RTE_FLOW_FIELD_UDP_PORT_DST);
    default:
      return nullptr;
  }
}

PortIndex target_of(const rte_flow_action& action, const PortMap& ports, PortIndex made_on) {
  if (action.type == RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT)
    return ports.port_of(static_cast<const rte_flow_action_ethdev*>(action.conf)->port_id);
  const auto& port = *static_cast<const rte_flow_action_port_id*>(action.conf);
  if (port.original != 0) return made_on;
  return port.id <= UINT16_MAX ? ports.port_of(static_cast<std::uint16_t>(port.id)) : kNoPort;
}

RuleResult<ActionList> lower_actions(const rte_flow_action actions[], const PortMap& ports,
                                     const ActionContext& context) {
  ActionList list;
  for (const rte_flow_action* action = actions; action->type != RTE_FLOW_ACTION_TYPE_END; ++action) {
    switch (action->type) {
      case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
        list.decap = true;
        break;
      case RTE_FLOW_ACTION_TYPE_COUNT:
        list.count = true;
        break;
      case RTE_FLOW_ACTION_TYPE_METER:
        list.meter_id = static_cast<const rte_flow_action_meter*>(action->conf)->mtr_id;
        break;
      case RTE_FLOW_ACTION_TYPE_AGE: {
        const auto* age = static_cast<const rte_flow_action_age*>(action->conf);
        list.age_seconds = age->timeout;
        list.age_context = age->context;
        break;
      }
      case RTE_FLOW_ACTION_TYPE_INDIRECT: {
        // The handle is not a configuration, but the object itself.
        auto* shared = static_cast<IndirectAction*>(const_cast<void*>(action->conf));
        (shared->type == RTE_FLOW_ACTION_TYPE_COUNT ? list.shared_count : list.shared_meter) = shared;
        break;
      }
      case RTE_FLOW_ACTION_TYPE_DROP:
        list.fate = Fate::kDrop;
        break;
      case RTE_FLOW_ACTION_TYPE_JUMP:
        list.fate = Fate::kJump;
        list.jump_group = static_cast<const rte_flow_action_jump*>(action->conf)->group;
        break;
      case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
      case RTE_FLOW_ACTION_TYPE_PORT_ID:
        list.fate = Fate::kPort;
        list.port = target_of(*action, ports, context.made_on);
        break;
      case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
        list.modifies.push_back(
            lower_modify(*static_cast<const rte_flow_action_modify_field*>(action->conf)));
        break;
      case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP: {
        const auto* conf = static_cast<const rte_flow_action_vxlan_encap*>(action->conf);
        RuleResult<EncapHeader> header = build_encap_header(conf->definition);
        if (!header) return std::unexpected(header.error());
        list.encap = *header;
        break;
      }
      default:
        if (is_legacy_set(action->type))
          list.modifies.push_back(lower_legacy_set(*action, list.decap ? context.inner : context.outer));
        break;
    }
  }
  return list;
}

}  // namespace berth::soft
