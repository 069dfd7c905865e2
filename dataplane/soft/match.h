// A pattern lowered to what packets are compared with: packet & mask == key, over the FieldVector.
//
// Only for patterns that passed the profile check (profile.h).
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/port_map.h"

#include <rte_flow.h>

namespace berth::soft {

struct Match {
  FieldVector key{};  // zero where the mask is
  FieldVector mask{};
};

// `implicit` is the source port of a pattern without a port item; kAnyPort where that means every port.
Match lower_pattern(const rte_flow_item pattern[], const PortMap& ports, PortIndex implicit = kAnyPort);

}  // namespace berth::soft
