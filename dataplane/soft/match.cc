#include "dataplane/soft/match.h"

#include "dataplane/soft/item_fields.h"

#include <cstring>

#include <rte_byteorder.h>

namespace berth::soft {
namespace {

void demand(LayerFields& key, LayerFields& mask, Presence bit, bool value) {
  mask.presence = static_cast<std::uint16_t>(mask.presence | bit);
  if (value) key.presence = static_cast<std::uint16_t>(key.presence | bit);
}

void lower_fields(const rte_flow_item& item, const ItemShape& shape, LayerFields& key, LayerFields& mask) {
  const std::uint8_t* item_mask = mask_of(item, shape);
  const auto* spec = static_cast<const std::uint8_t*>(item.spec);
  auto* key_bytes = reinterpret_cast<std::uint8_t*>(&key);
  auto* mask_bytes = reinterpret_cast<std::uint8_t*>(&mask);
  for (const ItemField& field : shape.fields) {
    for (std::size_t i = 0; i < field.size; ++i) {
      const std::uint8_t bits = item_mask[field.item_offset + i];
      mask_bytes[field.layer_offset + i] |= bits;
      key_bytes[field.layer_offset + i] |= spec[field.item_offset + i] & bits;
    }
  }
}

// An Ethernet type that is a VLAN tag's says "tagged": the parser reports the type behind the tags.
void lower_vlan_type(LayerFields& key, LayerFields& mask) {
  const std::uint16_t type = rte_be_to_cpu_16(key.ether_type);
  if (mask.ether_type == 0 || (type != 0x8100 && type != 0x88a8)) return;
  key.ether_type = 0;
  mask.ether_type = 0;
  demand(key, mask, kHasVlan, true);
}

void lower_header(const rte_flow_item& item, const ItemShape& shape, LayerFields& key, LayerFields& mask) {
  demand(key, mask, shape.presence, true);
  if (item.spec != nullptr) lower_fields(item, shape, key, mask);
  if (item.type == RTE_FLOW_ITEM_TYPE_ETH) {
    lower_vlan_type(key, mask);
    const auto* flags = static_cast<const rte_flow_item_eth*>(item.mask);
    if (flags != nullptr && flags->has_vlan != 0) {
      demand(key, mask, kHasVlan, static_cast<const rte_flow_item_eth*>(item.spec)->has_vlan != 0);
    }
  }
  if (item.type == RTE_FLOW_ITEM_TYPE_VLAN) {
    // Without a word about more tags the item means exactly one.
    const auto* flags = static_cast<const rte_flow_item_vlan*>(item.mask);
    const bool says = flags != nullptr && flags->has_more_vlan != 0;
    demand(key, mask, kHasMoreVlan,
           says && static_cast<const rte_flow_item_vlan*>(item.spec)->has_more_vlan != 0);
  }
  if (item.type == RTE_FLOW_ITEM_TYPE_IPV6) {
    const auto* flags = static_cast<const rte_flow_item_ipv6*>(item.mask);
    if (flags != nullptr && flags->has_frag_ext != 0) {
      demand(key, mask, kHasFragmentHeader,
             static_cast<const rte_flow_item_ipv6*>(item.spec)->has_frag_ext != 0);
    }
  }
}

void lower_tag(const rte_flow_item& item, Match& match) {
  const auto* spec = static_cast<const rte_flow_item_tag*>(item.spec);
  const auto* mask = static_cast<const rte_flow_item_tag*>(item.mask);
  const std::uint32_t bits = mask != nullptr ? mask->data : 0xffffffff;
  match.mask.tags[spec->index] = bits;
  match.key.tags[spec->index] = spec->data & bits;
}

}  // namespace

Match lower_pattern(const rte_flow_item pattern[], const PortMap& ports, PortIndex implicit) {
  Match match;
  PortIndex source = implicit;
  bool is_inner = false;
  for (const rte_flow_item* item = pattern; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
    if (item->type == RTE_FLOW_ITEM_TYPE_VOID) continue;
    const ItemShape& shape = *item_shape(item->type);
    if (shape.level == ItemLevel::kPort) {
      source = item->spec == nullptr
                   ? kAnyPort
                   : ports.port_of(static_cast<const rte_flow_item_ethdev*>(item->spec)->port_id);
    } else if (item->type == RTE_FLOW_ITEM_TYPE_METER_COLOR) {
      match.key.color = static_cast<const rte_flow_item_meter_color*>(item->spec)->color;
      match.mask.color = 0xffffffff;
    } else if (shape.level == ItemLevel::kTag) {
      lower_tag(*item, match);
    } else {
      lower_header(*item, shape, is_inner ? match.key.inner : match.key.outer,
                   is_inner ? match.mask.inner : match.mask.outer);
      is_inner = is_inner || shape.level == ItemLevel::kTunnel;
    }
  }
  if (source != kAnyPort) {
    match.key.port = source;
    match.mask.port = 0xffff;
  }
  return match;
}

}  // namespace berth::soft
