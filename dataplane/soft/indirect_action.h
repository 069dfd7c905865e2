// Actions that rules share through a handle (rte_flow_action_handle): a counter or a METER_MARK meter.
#pragma once

#include "dataplane/soft/counter.h"
#include "dataplane/soft/meter.h"

#include <cstdint>
#include <memory>

#include <rte_flow.h>

namespace berth::soft {

struct IndirectAction {
  rte_flow_action_type type = RTE_FLOW_ACTION_TYPE_VOID;
  PacketCounter counter;         // COUNT; written by the worker
  CounterValue counter_base;     // at the last reset
  std::unique_ptr<Meter> meter;  // METER_MARK
  std::uint32_t references = 0;  // rules
};

}  // namespace berth::soft
