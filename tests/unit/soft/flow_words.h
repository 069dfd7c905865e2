// Test-only: the words of rule text, as data: items and actions with their fields, and what MODIFY_FIELD may
// write.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include <rte_flow.h>

namespace berth::soft::test {

enum class Kind { kBig, kHost, kMac, kIpv4, kIpv6, kBit };

// A bit-field has the offset of its 32-bit word, and the bit's number in `size`.
struct Field {
  std::size_t offset;
  std::size_t size;
  Kind kind;
};

struct Item {
  rte_flow_item_type type;
  std::size_t size;
  std::map<std::string, Field> fields;
};

// An action whose configuration is fields by name; without any it has none.
struct Action {
  rte_flow_action_type type;
  std::size_t size;
  std::map<std::string, Field> fields;
};

const std::map<std::string, Item>& items();
const std::map<std::string, Action>& actions();
const std::map<std::string, rte_flow_field_id>& modify_targets();

}  // namespace berth::soft::test
