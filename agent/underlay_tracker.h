// Keeps the agent's next hops true: for every tunnel endpoint that VPCs mention, the Ethernet address
// that the kernel would send to. Follows VPC changes and the kernel's neighbour events.
#pragma once

#include "agent/agent.h"
#include "host/netlink/neighbours.h"

namespace berth::agent {

// Runs until cancelled. Endpoints without an answer are asked for again every second.
asio::awaitable<void> track_underlay(Agent& agent, host::Neighbours& neighbours, int uplink_ifindex);

}  // namespace berth::agent
