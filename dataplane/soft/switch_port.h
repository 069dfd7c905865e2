// One port of the switch: the ethdev behind it, and the two rings that join it to the agent's slow path.
//
// The backing ethdev (vhost-user, af_packet, memif, ...) is used by the worker alone. `to_agent` carries
// packets that missed; the port's own ethdev (proxy or representor) hands them out. `from_agent` carries
// what the agent sends out of this port. Both rings are bounded: what does not fit is dropped and counted.
#pragma once

#include "dataplane/soft/counter.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace berth::soft {

inline constexpr std::uint16_t kBurst = 32;     // packets taken from a port at a time
inline constexpr std::uint16_t kTxBuffer = 64;  // packets collected for a port before it is flushed

struct RingDeleter {
  void operator()(rte_ring* ring) const { rte_ring_free(ring); }
};
using Ring = std::unique_ptr<rte_ring, RingDeleter>;

// Written by the worker, except those of the agent's side, which that thread writes.
struct PortCounters {
  PacketCounter received;          // from the backing ethdev, or injected
  PacketCounter sent;              // to it
  PacketCounter send_dropped;      // it took no more
  PacketCounter missed;            // no rule of a reached group matched: given to the agent
  PacketCounter miss_dropped;      // the agent was not there or its ring was full
  PacketCounter walked;            // took the long way through the groups: their flow was not known
  PacketCounter malformed;         // shorter than an Ethernet header, or no room for a tunnel header
  PacketCounter oversized;         // of a function, larger than its MTU: given to the agent
  PacketCounter unbacked_dropped;  // the uplink's: sent to functions that have nothing behind them
  PacketCounter agent_received;    // taken by the agent
  PacketCounter agent_sent;        // given by the agent
  PacketCounter agent_refused;     // the agent's packet did not fit its ring
};

struct SwitchPort {
  std::uint16_t backing = RTE_MAX_ETHPORTS;  // ethdev id
  std::string backing_name;
  Ring to_agent;
  Ring from_agent;
  std::atomic<bool> agent_listens = false;  // the port's own ethdev is started
  // Ethernet header included. Nothing here fragments, and no rule can match a length (HP-46): what a VM sends
  // beyond its MTU is the agent's to answer.
  std::atomic<std::uint32_t> max_frame_bytes = UINT32_MAX;
  PortCounters counters;

  // The worker's: packets collected for the backing ethdev.
  std::array<rte_mbuf*, kTxBuffer> tx{};
  std::uint16_t tx_count = 0;
  std::uint64_t tx_bytes = 0;
};

}  // namespace berth::soft
