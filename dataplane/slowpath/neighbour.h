// IPv6 neighbour and router discovery (RFC 4861, 4862) for a VM that is alone with its gateway.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

// `packet` is an ICMPv6 message of type 133 to 137 whose checksum is right.
//
// Solicitations for the gateway's addresses (its link-local one too) are answered as the router that it is;
// those for any other global address as a proxy (RFC 4861 section 7.2.8), since nothing is flooded. Duplicate
// address detection is left alone for the VM's own and for link-local addresses, and meets a conflict for all
// others. Advertisements of the VM's own addresses need no answer; router advertisements, redirects and
// advertisements of foreign addresses are spoofs.
Answer answer_neighbour(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                        std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
