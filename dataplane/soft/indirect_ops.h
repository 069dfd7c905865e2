// Indirect actions: counters and METER_MARK meters that rules share through a handle.
#pragma once

#include <rte_flow_driver.h>

namespace berth::soft {

void set_indirect_ops(rte_flow_ops& ops);

}  // namespace berth::soft
