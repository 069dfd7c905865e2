// ARP (RFC 826) for a VM that is alone with its gateway: whatever it asks for is reached by way of the
// gateway.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

// Answers requests for any unicast address but the VM's own with the gateway's MAC: its subnet is proxied,
// since nothing is flooded. Probes (RFC 5227, sender 0.0.0.0) are answered alike, so a guest that tries an
// address that is not its own finds it taken; probes for and announcements of its own address are not.
Answer answer_arp(const Frame& frame, const PortFacts& port, std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
