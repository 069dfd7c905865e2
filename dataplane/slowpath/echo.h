// Ping of the gateway: ICMP echo (RFC 792) and ICMPv6 echo (RFC 4443) to its addresses.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

// Any other ICMP than a whole, unfragmented echo request from the VM's address is silence.
Answer answer_echo_v4(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                      std::span<std::uint8_t> reply);

// `packet` is an ICMPv6 message whose checksum is right.
Answer answer_echo_v6(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                      std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
