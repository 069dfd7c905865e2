// The pattern items that the eSwitch knows, as data: which bits of an item may be matched, where they
// land in a FieldVector, and what they cost of the hardware's match budget.
//
// The profile check (profile.h) and the lowering (match.h) both walk this table, so an item field that
// one accepts is by construction one that the other understands. Flag-like fields that are C bit-fields
// (has_vlan, ...) and the port and tag items are not in the table; both walkers treat them by name.
#pragma once

#include "dataplane/soft/field_vector.h"

#include <cstdint>
#include <span>

#include <rte_flow.h>

namespace berth::soft {

enum class MaskShape : std::uint8_t { kPrefix, kExact, kAny };

struct ItemField {
  std::uint16_t item_offset;   // bytes into the rte_flow_item_* struct
  std::uint16_t layer_offset;  // bytes into LayerFields
  std::uint8_t size;           // bytes
  MaskShape shape;             // which masks a rule may use
};

// Where an item stands in a pattern; patterns never go back.
enum class ItemLevel : std::uint8_t { kPort, kEthernet, kVlan, kL3, kL4, kTunnel, kTag };

struct ItemShape {
  rte_flow_item_type type;
  ItemLevel level;
  std::uint8_t struct_size;  // bytes, bit-fields included
  std::uint8_t fields_size;  // bytes in front of the bit-fields: only these are compared bytewise
  Presence presence;         // the layer must have it
  const void* default_mask;  // what a NULL mask means
  std::span<const ItemField> fields;
};

// Null when the profile does not have this item.
const ItemShape* item_shape(rte_flow_item_type type);

// The mask that applies: the item's own or the default one. Never null for a known item.
const std::uint8_t* mask_of(const rte_flow_item& item, const ItemShape& shape);

}  // namespace berth::soft
