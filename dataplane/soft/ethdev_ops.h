// The ethdev face of the switch: proxy and representors as ports that an application polls.
#pragma once

#include <ethdev_driver.h>

namespace berth::soft {

// The EthdevPort must be in data->dev_private already.
void set_ethdev_ops(rte_eth_dev& ethdev);

// Whether it is the proxy or a representor of one of our switches.
bool is_ours(const rte_eth_dev& ethdev);

}  // namespace berth::soft
