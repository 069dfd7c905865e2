// The rte_flow face of the switch: rules come in here, are checked against the hardware profile, lowered
// and put into the rule book.
#pragma once

#include <ethdev_driver.h>

namespace berth::soft {

int flow_ops_get(rte_eth_dev* ethdev, const rte_flow_ops** ops);

}  // namespace berth::soft
