// Profile points HP-01, HP-02, HP-04 and HP-10 .. HP-18: attributes and patterns.
#include "dataplane/soft/item_fields.h"
#include "dataplane/soft/match_budget.h"
#include "dataplane/soft/profile.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>

#include <rte_byteorder.h>

namespace berth::soft {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kProtocolIpip = 4;
constexpr std::uint8_t kProtocolIpv6 = 41;

bool is_zero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool is_all_ones(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0xff; });
}

bool is_prefix(Bytes mask) {
  std::size_t ones = 0;
  std::size_t total = 0;
  bool ended = false;
  for (std::uint8_t byte : mask) {
    const auto leading = static_cast<std::size_t>(std::countl_one(byte));
    total += static_cast<std::size_t>(std::popcount(byte));
    if (!ended) ones += leading;
    ended = ended || leading != 8;
  }
  return ones == total;
}

bool has_shape(Bytes mask, MaskShape shape) {
  switch (shape) {
    case MaskShape::kPrefix:
      return is_prefix(mask);
    case MaskShape::kExact:
      return is_zero(mask) || is_all_ones(mask);
    case MaskShape::kAny:
      return true;
  }
  return false;
}

std::uint8_t protocol_of(rte_flow_item_type type) {
  switch (type) {
    case RTE_FLOW_ITEM_TYPE_UDP:
      return 17;
    case RTE_FLOW_ITEM_TYPE_TCP:
      return 6;
    case RTE_FLOW_ITEM_TYPE_ICMP:
      return 1;
    default:
      return 58;
  }
}

// Walks a pattern once; each step either refuses or notes what later steps need.
class PatternCheck {
 public:
  PatternCheck(const PortMap& ports, const ProfileLimits& limits, const RuleContext& context)
      : ports_(ports), limits_(limits), dialect_(context.dialect), made_on_(context.made_on) {}

  RuleResult<PatternFacts> run(const rte_flow_item pattern[]) {
    for (const rte_flow_item* item = pattern; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
      if (item->type == RTE_FLOW_ITEM_TYPE_VOID) continue;
      if (RuleResult<void> checked = check(*item); !checked) return std::unexpected(checked.error());
    }
    if (facts_.source == kNoPort && dialect_ == Dialect::kTemplate) {
      facts_.source = kAnyPort;
      facts_.only_port = false;
    }
    if (facts_.source == kNoPort && dialect_ == Dialect::kSoftware) facts_.source = made_on_;
    if (facts_.source == kNoPort) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_NUM,
                    "exactly one represented_port item is needed (HP-02)", pattern);
    }
    if ((facts_.outer & kHasVxlan) != 0 && (facts_.outer & kHasIpv4) != 0 && !tunnel_destination_is_exact_) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_NUM,
                    "a VXLAN rule must match the whole outer IPv4 destination (HP-14)", pattern);
    }
    if (dialect_ != Dialect::kSoftware && !budget_.fits(limits_.match_dwords, limits_.match_bytes)) {
      return refuse(E2BIG, RTE_FLOW_ERROR_TYPE_ITEM_NUM, "the pattern exceeds the match definer (HP-16)",
                    pattern);
    }
    return facts_;
  }

 private:
  RuleResult<void> check(const rte_flow_item& item) {
    const ItemShape* shape = item_shape(item.type);
    if (shape == nullptr) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, "item not supported (HP-11)", &item);
    }
    if (item.spec == nullptr && (item.mask != nullptr || item.last != nullptr)) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "mask/last without a spec is not supported (HP-13)",
                    &item);
    }
    if (item.last != nullptr && !last_is_harmless(item, *shape)) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "range is not valid (HP-12)", &item);
    }
    if (shape->level == ItemLevel::kPort) return check_port(item);
    if (item.type == RTE_FLOW_ITEM_TYPE_METER_COLOR) return check_color(item);
    if (shape->level == ItemLevel::kTag) return check_tag(item);
    if (RuleResult<void> placed = place(item, *shape); !placed) return placed;
    if (item.spec == nullptr) {
      return shape->level == ItemLevel::kTunnel ? check_vxlan(item) : RuleResult<void>{};
    }
    if (RuleResult<void> fields = check_fields(item, *shape); !fields) return fields;
    if (RuleResult<void> flags = check_flags(item, *shape); !flags) return flags;
    if (shape->level == ItemLevel::kL3) return note_l3(item, *shape);
    return shape->level == ItemLevel::kTunnel ? check_vxlan(item) : RuleResult<void>{};
  }

  // A `last` that equals the spec (or is zero) is no range.
  static bool last_is_harmless(const rte_flow_item& item, const ItemShape& shape) {
    const auto* last = static_cast<const std::uint8_t*>(item.last);
    return is_zero({last, shape.struct_size}) || std::memcmp(last, item.spec, shape.struct_size) == 0;
  }

  RuleResult<void> check_port(const rte_flow_item& item) {
    if (facts_.source != kNoPort) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, "multiple source ports are not supported (HP-02)",
                    &item);
    }
    if (item.spec == nullptr && dialect_ == Dialect::kTemplate) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "represented_port needs a port in a template (HP-02)",
                    &item);
    }
    if (item.spec == nullptr) {
      facts_.source = kAnyPort;
      facts_.only_port = false;
      return {};
    }
    const auto* mask = static_cast<const rte_flow_item_ethdev*>(item.mask);
    if (mask != nullptr && mask->port_id != 0xffff) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK,
                    "no support for partial mask on \"id\" field (HP-02)", &item);
    }
    facts_.source = ports_.port_of(static_cast<const rte_flow_item_ethdev*>(item.spec)->port_id);
    if (facts_.source == kNoPort) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_SPEC,
                    "cannot match on a port from a different E-Switch (HP-02)", &item);
    }
    budget_.add_dwords(1);
    return {};
  }

  RuleResult<void> check_tag(const rte_flow_item& item) {
    const auto* spec = static_cast<const rte_flow_item_tag*>(item.spec);
    if (spec == nullptr) return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "Tag spec is NULL (HP-13)", &item);
    const auto* mask = static_cast<const rte_flow_item_tag*>(item.mask);
    if (mask != nullptr && mask->index != 0xff) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK,
                    "partial mask for tag index is not supported (HP-12)", &item);
    }
    if (spec->index >= kTagCount) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, "Unsupported tag index (HP-11)", &item);
    }
    const auto bit = static_cast<std::uint8_t>(1U << spec->index);
    if ((tags_seen_ & bit) != 0) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "a tag is matched twice (HP-10)", &item);
    }
    if (mask != nullptr && (spec->data & ~mask->data) != 0 && dialect_ != Dialect::kSoftware) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, "spec has bits outside the mask (HP-13)", &item);
    }
    tags_seen_ |= bit;
    facts_.only_port = false;
    budget_.add_dwords(1);
    return {};
  }

  // The mask of a colour is not looked at: it is matched as a whole.
  RuleResult<void> check_color(const rte_flow_item& item) {
    const auto* spec = static_cast<const rte_flow_item_meter_color*>(item.spec);
    if (spec == nullptr || spec->color < RTE_COLOR_GREEN || spec->color > RTE_COLOR_RED || has_color_) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "meter colour must be one of three, once (HP-13)",
                    &item);
    }
    has_color_ = true;
    facts_.only_port = false;
    budget_.add_dwords(1);
    return {};
  }

  // HP-10: the order of layers, and what must be below.
  RuleResult<void> place(const rte_flow_item& item, const ItemShape& shape) {
    const auto misplaced = [&item](int code, const char* message) {
      return refuse(code, RTE_FLOW_ERROR_TYPE_ITEM, message, &item);
    };
    std::uint16_t& present = is_inner_ ? facts_.inner : facts_.outer;
    facts_.only_port = facts_.only_port && shape.level == ItemLevel::kEthernet && !is_inner_;
    if (shape.level == ItemLevel::kEthernet && level_ == ItemLevel::kTunnel) {
      level_ = ItemLevel::kPort;
    } else if (level_ == ItemLevel::kTunnel) {
      return shape.level == ItemLevel::kTunnel
                 ? misplaced(ENOTSUP, "multiple tunnel layers not supported (HP-10)")
                 : misplaced(EINVAL, "L2 is mandatory behind a tunnel (HP-10)");
    }
    switch (shape.level) {
      case ItemLevel::kEthernet:
        if (level_ != ItemLevel::kPort) return misplaced(ENOTSUP, "multiple L2 layers not supported (HP-10)");
        break;
      case ItemLevel::kVlan:
        if (level_ == ItemLevel::kVlan)
          return misplaced(EINVAL, "multiple VLAN layers not supported (HP-10)");
        if (level_ != ItemLevel::kEthernet) return misplaced(EINVAL, "VLAN must follow L2 (HP-10)");
        break;
      case ItemLevel::kL3:
        if (level_ >= ItemLevel::kL3) return misplaced(ENOTSUP, "multiple L3 layers not supported (HP-10)");
        if (level_ == ItemLevel::kPort) return misplaced(EINVAL, "L2 is mandatory to filter on L3 (HP-10)");
        break;
      case ItemLevel::kL4:
        if (level_ == ItemLevel::kL4) return misplaced(EINVAL, "multiple L4 layers not supported (HP-10)");
        if (level_ != ItemLevel::kL3) return misplaced(EINVAL, "L3 is mandatory to filter on L4 (HP-10)");
        return place_l4(item, shape, present);
      case ItemLevel::kTunnel:
        if (is_inner_) return misplaced(ENOTSUP, "multiple tunnel layers not supported (HP-10)");
        if ((present & kHasUdp) == 0) return misplaced(EINVAL, "no outer UDP layer found (HP-10)");
        if (!udp_port_is_vxlan_) {
          return misplaced(EINVAL, "VXLAN needs UDP destination port 4789 in the pattern (HP-14)");
        }
        is_inner_ = true;
        break;
      case ItemLevel::kPort:
      case ItemLevel::kTag:
        break;
    }
    present = static_cast<std::uint16_t>(present | shape.presence);
    level_ = shape.level;
    return {};
  }

  RuleResult<void> place_l4(const rte_flow_item& item, const ItemShape& shape, std::uint16_t& present) {
    const bool wants_v6 = item.type == RTE_FLOW_ITEM_TYPE_ICMP6;
    const bool wants_v4 = item.type == RTE_FLOW_ITEM_TYPE_ICMP;
    if ((wants_v6 && (present & kHasIpv6) == 0) || (wants_v4 && (present & kHasIpv4) == 0)) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "ICMP item does not fit the L3 layer (HP-10)", &item);
    }
    if (protocol_mask_ != 0 && protocol_ != protocol_of(item.type)) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM,
                    "protocol filtering not compatible with L4 layer (HP-17)", &item);
    }
    if (item.type == RTE_FLOW_ITEM_TYPE_UDP && item.spec != nullptr) {
      const auto* spec = static_cast<const rte_flow_item_udp*>(item.spec);
      const auto* mask = static_cast<const rte_flow_item_udp*>(item.mask);
      udp_port_is_vxlan_ = spec->hdr.dst_port == RTE_BE16(RTE_VXLAN_DEFAULT_PORT) &&
                           (mask == nullptr || mask->hdr.dst_port == 0xffff);
    }
    present = static_cast<std::uint16_t>(present | shape.presence);
    level_ = ItemLevel::kL4;
    return {};
  }

  // HP-12, HP-13, HP-16 for the fields that are whole bytes.
  RuleResult<void> check_fields(const rte_flow_item& item, const ItemShape& shape) {
    const auto* spec = static_cast<const std::uint8_t*>(item.spec);
    const std::uint8_t* mask = mask_of(item, shape);
    std::uint32_t understood = 0;
    std::uint32_t masked = 0;
    for (std::size_t i = 0; i < shape.fields_size; ++i) {
      if ((spec[i] & ~mask[i]) != 0 && dialect_ != Dialect::kSoftware) {
        return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, "spec has bits outside the mask (HP-13)", &item);
      }
      masked += mask[i] != 0 ? 1 : 0;
    }
    bool ports_are_counted = false;
    for (const ItemField& field : shape.fields) {
      const Bytes field_mask(mask + field.item_offset, field.size);
      if (is_zero(field_mask)) continue;
      if (!has_shape(field_mask, field.shape)) {
        return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK, "this field takes no such partial mask (HP-12)",
                      &item);
      }
      for (std::uint8_t byte : field_mask) understood += byte != 0 ? 1 : 0;
      const bool is_port = shape.level == ItemLevel::kL4 && field.size == 2;
      if (!is_port || !ports_are_counted) budget_.add_field(field_mask, is_port || field.size == 3);
      ports_are_counted = ports_are_counted || is_port;
    }
    if (understood != masked) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK,
                    "mask enables a field that cannot be matched (HP-11)", &item);
    }
    facts_.only_port = facts_.only_port && masked == 0;
    return {};
  }

  // The bit-fields: has_vlan, has_more_vlan, has_frag_ext; no other is in the profile.
  RuleResult<void> check_flags(const rte_flow_item& item, const ItemShape& shape) {
    if (shape.fields_size == shape.struct_size || item.mask == nullptr) return {};
    bool wanted = false;
    bool other = false;
    if (item.type == RTE_FLOW_ITEM_TYPE_ETH) {
      const auto* mask = static_cast<const rte_flow_item_eth*>(item.mask);
      wanted = mask->has_vlan != 0;
      other = mask->reserved != 0;
    } else if (item.type == RTE_FLOW_ITEM_TYPE_VLAN) {
      const auto* mask = static_cast<const rte_flow_item_vlan*>(item.mask);
      wanted = mask->has_more_vlan != 0;
      other = mask->reserved != 0;
    } else {
      const auto* mask = static_cast<const rte_flow_item_ipv6*>(item.mask);
      wanted = mask->has_frag_ext != 0;
      other = mask->has_hop_ext != 0 || mask->has_route_ext != 0 || mask->has_auth_ext != 0 ||
              mask->has_esp_ext != 0 || mask->has_dest_ext != 0 || mask->has_mobil_ext != 0 ||
              mask->has_hip_ext != 0 || mask->has_shim6_ext != 0 || mask->reserved != 0;
    }
    if (other) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK,
                    "mask enables a flag that cannot be matched (HP-11)", &item);
    }
    if (wanted) {
      budget_.add_bytes(1);
      facts_.only_port = false;
    }
    return {};
  }

  RuleResult<void> note_l3(const rte_flow_item& item, const ItemShape& shape) {
    const std::uint8_t* mask = mask_of(item, shape);
    const auto* spec = static_cast<const std::uint8_t*>(item.spec);
    const bool is_v4 = item.type == RTE_FLOW_ITEM_TYPE_IPV4;
    const std::size_t at = is_v4 ? offsetof(rte_ipv4_hdr, next_proto_id) : offsetof(rte_ipv6_hdr, proto);
    protocol_ = spec[at];
    protocol_mask_ = mask[at];
    const std::size_t destination =
        is_v4 ? offsetof(rte_ipv4_hdr, dst_addr) : offsetof(rte_ipv6_hdr, dst_addr);
    if (!is_inner_) tunnel_destination_is_exact_ = is_all_ones({mask + destination, is_v4 ? 4U : 16U});
    if (protocol_mask_ != 0 && (protocol_ == kProtocolIpip || protocol_ == kProtocolIpv6)) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "multiple tunnel not supported (HP-17)", &item);
    }
    return {};
  }

  RuleResult<void> check_vxlan(const rte_flow_item& item) {
    protocol_mask_ = 0;  // the inner layers start afresh
    const auto* spec = static_cast<const rte_flow_item_vxlan*>(item.spec);
    const auto* mask = static_cast<const rte_flow_item_vxlan*>(item.mask);
    const bool is_whole = mask == nullptr || is_all_ones({mask->vni, 3});
    if (spec == nullptr || !is_whole || is_zero({spec->vni, 3})) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, "VNI must be matched as a whole and not be 0 (HP-14)",
                    &item);
    }
    return {};
  }

  const PortMap& ports_;
  const ProfileLimits& limits_;
  const Dialect dialect_;
  const PortIndex made_on_;
  PatternFacts facts_;
  MatchBudget budget_;
  ItemLevel level_ = ItemLevel::kPort;
  bool is_inner_ = false;
  bool udp_port_is_vxlan_ = false;
  bool tunnel_destination_is_exact_ = false;
  std::uint8_t protocol_ = 0;
  std::uint8_t protocol_mask_ = 0;
  std::uint8_t tags_seen_ = 0;
  bool has_color_ = false;
};

}  // namespace

RuleResult<void> check_attributes(const rte_flow_attr& attr, const ProfileLimits& limits) {
  if (attr.ingress + attr.egress + attr.transfer != 1) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR,
                  "must specify exactly one of ingress, egress or transfer (HP-01)", &attr);
  }
  if (attr.transfer == 0 || attr.reserved != 0) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, "only transfer rules are supported (HP-01)",
                  &attr);
  }
  if (attr.group > limits.max_group) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_GROUP, "group index too large (HP-07)", &attr);
  }
  if (attr.priority > (attr.group == 0 ? limits.max_root_priority : limits.max_priority)) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_PRIORITY, "priority out of range (HP-04)", &attr);
  }
  return {};
}

RuleResult<PatternFacts> check_pattern(const rte_flow_item pattern[], const PortMap& ports,
                                       const ProfileLimits& limits, const RuleContext& context) {
  return PatternCheck(ports, limits, context).run(pattern);
}

}  // namespace berth::soft
