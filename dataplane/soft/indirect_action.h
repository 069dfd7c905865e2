// Actions that rules share through a handle (rte_flow_action_handle): a counter or a METER_MARK meter.
#pragma once

#include "dataplane/soft/counter.h"
#include "dataplane/soft/meter.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <rte_flow.h>

namespace berth::soft {

struct IndirectAction {
  rte_flow_action_type type = RTE_FLOW_ACTION_TYPE_VOID;
  PacketCounter counter;         // COUNT; written by the worker
  CounterValue counter_base;     // at the last reset
  std::unique_ptr<Meter> meter;  // METER_MARK
  std::uint32_t references = 0;  // rules
};

// Those that the application has not destroyed; any thread. What is left goes with the switch.
class IndirectActions {
 public:
  IndirectAction* keep(std::unique_ptr<IndirectAction> made) {
    const std::lock_guard lock(mutex_);
    IndirectAction* handle = made.get();
    kept_.emplace(handle, std::move(made));
    return handle;
  }
  // The caller's from here on.
  IndirectAction* release(IndirectAction* handle) {
    const std::lock_guard lock(mutex_);
    auto node = kept_.extract(handle);
    return node.empty() ? nullptr : node.mapped().release();
  }

 private:
  std::mutex mutex_;
  std::unordered_map<IndirectAction*, std::unique_ptr<IndirectAction>> kept_;
};

}  // namespace berth::soft
