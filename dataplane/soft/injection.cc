// Packets of the application's own in front of the rules: the driver's private API.
#include "dataplane/soft/ethdev_ops.h"
#include "dataplane/soft/rte_pmd_berth.h"
#include "dataplane/soft/soft_switch.h"

#include <cerrno>
#include <span>

using berth::soft::EthdevPort;

int rte_pmd_berth_inject(std::uint16_t port_id, rte_mbuf** packets, std::uint16_t count) {
  if (rte_eth_dev_is_valid_port(port_id) == 0 || !berth::soft::is_ours(rte_eth_devices[port_id]))
    return -ENOTSUP;
  const auto* port = static_cast<const EthdevPort*>(rte_eth_devices[port_id].data->dev_private);
  if (!port->owner->is_started()) return -ENODEV;
  const std::span all(packets, count);
  for (const rte_mbuf* packet : all) {
    if (packet->nb_segs != 1 || packet->data_len == 0) return -EINVAL;
  }
  return port->owner->forwarder().inject(port->index, all) ? 0 : -ENOBUFS;
}
