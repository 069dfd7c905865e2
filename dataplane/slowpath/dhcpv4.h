// The DHCPv4 server (RFC 2131) of one VM: one address, always the same, that nobody else can have. So it
// keeps no leases; whatever state a client says it is in is answered from the port's configuration.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <span>

namespace berth::dataplane::slowpath {

inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;

// `datagram` goes to the server port or comes from it: a server in the VM is a spoof.
//
// DISCOVER: OFFER, or ACK with rapid commit (RFC 4039). REQUEST: ACK for the VM's address in every client
// state (selecting, init-reboot, renewing, rebinding), NAK for any other, silence when it names another
// server. INFORM: ACK without address and lease. RELEASE and DECLINE are counted. What the client identifier
// was comes back (RFC 6842). Options that do not fit what the client takes (option 57, 576 bytes without) are
// left out, host name and domain first.
Answer answer_dhcpv4(const Frame& frame, const IpPacket& packet, const UdpDatagram& datagram,
                     const PortFacts& port, std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
