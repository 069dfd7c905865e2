// The rte_mtr face of the switch: meters are added here and used by METER and METER_MARK actions.
#pragma once

#include <ethdev_driver.h>

namespace berth::soft {

int meter_ops_get(rte_eth_dev* ethdev, void* ops);

}  // namespace berth::soft
