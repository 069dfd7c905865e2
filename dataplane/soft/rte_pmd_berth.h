// What net_berth can do beyond ethdev and rte_flow: for applications that have it linked in, or loaded.
#pragma once

#include <cstdint>

struct rte_mbuf;

extern "C" {

// Puts packets in front of the switch's rules, as if they had come from the port that `port_id` stands for:
// the proxy is the uplink, a representor its function. They take the way of all packets (flow cache,
// counters, meters) in the worker's next round. From any thread.
//
// Returns 0 when the switch has them all. Otherwise none, and they stay the caller's: -ENOTSUP when `port_id`
// is no port of a net_berth, -ENODEV when its switch is not started, -EINVAL for an empty or chained packet,
// -ENOBUFS when too many wait.
int rte_pmd_berth_inject(std::uint16_t port_id, struct rte_mbuf** packets, std::uint16_t count);
}
