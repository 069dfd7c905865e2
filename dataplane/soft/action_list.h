// A rule's actions, lowered: what the worker does to a packet that the rule matched.
//
// The order of execution is fixed and is the hardware's: decap, count, meter, modify, encap, fate.
#pragma once

#include "dataplane/soft/encap.h"
#include "dataplane/soft/fate.h"
#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/indirect_action.h"
#include "dataplane/soft/port_map.h"
#include "dataplane/soft/rule_error.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <rte_flow.h>

namespace berth::soft {

enum class ModifyField : std::uint8_t {
  kSourceMac,
  kDestinationMac,
  kIpv4Source,
  kIpv4Destination,
  kIpv4Ttl,
  kIpv6Source,
  kIpv6Destination,
  kIpv6HopLimit,
  kSourcePort,
  kDestinationPort,
  kTag,
};

// What a modification of a field needs and costs.
struct ModifyShape {
  ModifyField field;
  std::uint8_t bytes;         // length of the value
  std::uint16_t needs;        // Presence bits of the layer that the pattern must demand; 0 for tags
  const char* missing_error;  // what to say when it does not
};

// Null when the profile has no such destination (HP-27).
const ModifyShape* modify_shape(rte_flow_field_id field);

// The actions that MODIFY_FIELD has replaced: SET_MAC_SRC and on. Software steering still knows them.
bool is_legacy_set(rte_flow_action_type type);
// What such an action modifies in a packet of these layers (Presence bits): SET_TTL and SET_TP_* say neither
// which IP nor which protocol. Never null for a legacy action; what it needs may be missing in `layers`.
const ModifyShape* legacy_modify_shape(rte_flow_action_type type, std::uint16_t layers);

// SET of a whole header field, or of some bits of a tag.
struct Modify {
  ModifyField field{};
  std::uint8_t tag_index = 0;
  std::uint32_t tag_value = 0;  // already in place, zero outside tag_mask
  std::uint32_t tag_mask = 0;
  std::array<std::uint8_t, 16> value{};  // header fields, wire order, modify_shape().bytes of it
};

struct ActionList {
  bool decap = false;
  bool count = false;
  Fate fate = Fate::kDrop;
  PortIndex port = kNoPort;      // Fate::kPort
  std::uint32_t jump_group = 0;  // Fate::kJump
  std::optional<EncapHeader> encap = {};
  std::vector<Modify> modifies = {};

  std::optional<std::uint32_t> meter_id = {};  // METER
  Meter* meter = nullptr;                      // METER: what the id stands for, filled in by the switch
  IndirectAction* shared_count = nullptr;      // INDIRECT COUNT
  IndirectAction* shared_meter = nullptr;      // INDIRECT METER_MARK
  std::uint32_t age_seconds = 0;               // AGE; 0: none
  void* age_context = nullptr;

  bool needs_extra() const {
    return meter_id.has_value() || shared_count != nullptr || shared_meter != nullptr || age_seconds != 0;
  }
};

// Where a REPRESENTED_PORT or PORT_ID action with a configuration sends a packet; kNoPort when it is no port
// of this switch. `made_on` is what PORT_ID calls the original port.
PortIndex target_of(const rte_flow_action& action, const PortMap& ports, PortIndex made_on);

// What the lowering of actions has to know of their rule.
struct ActionContext {
  PortIndex made_on = kUplink;
  std::uint16_t outer = 0;  // Presence bits that the pattern demands
  std::uint16_t inner = 0;
};

// Only for actions that passed the profile check; what is left to refuse is the encap definition.
RuleResult<ActionList> lower_actions(const rte_flow_action actions[], const PortMap& ports,
                                     const ActionContext& context = {});

}  // namespace berth::soft
