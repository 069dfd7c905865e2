// Tells a VM that a packet of its own does not fit the VPC's MTU, from the gateway's address: ICMP
// "fragmentation needed" (RFC 792, 1191) and ICMPv6 "packet too big" (RFC 4443 section 3.2).
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

// `bytes` is the frame as the VM sent it. Silence where the RFCs ask for it: the packet fits, is an ICMP
// error itself, a later fragment, for a group, or IPv4 that may be fragmented (nobody does it: such a packet
// is lost); and for what the VM did not send from its own address.
Answer answer_too_big(Bytes bytes, const PortFacts& port, std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
