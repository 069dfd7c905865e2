// The DHCPv6 server (RFC 8415) of one VM: one address, always the same, that nobody else can have. So it
// keeps no bindings; every message is answered from the port's configuration.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

inline constexpr std::uint16_t kDhcpv6ClientPort = 546;
inline constexpr std::uint16_t kDhcpv6ServerPort = 547;

// `datagram` goes to the server port or comes from it: a server in the VM is a spoof.
//
// The first IA_NA of a message gets the address, further ones and IA_TA get NoAddrsAvail, IA_PD
// NoPrefixAvail. Addresses that a client believes to have, and has not, come back with lifetimes of 0
// (NotOnLink to a Confirm). The server's DUID is of type LL, of the gateway's MAC, so it is the same on every
// host. Messages that RFC 8415 section 16 says to discard are malformed, or another server's.
Answer answer_dhcpv6(const Frame& frame, const IpPacket& packet, const UdpDatagram& datagram,
                     const PortFacts& port, std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
