// The asynchronous half of the rte_flow face: configure, templates, tables, queues.
#pragma once

#include <rte_flow_driver.h>

namespace berth::soft {

// Every operation is set: ethdev calls them without asking whether they are there.
void set_template_ops(rte_flow_ops& ops);

}  // namespace berth::soft
