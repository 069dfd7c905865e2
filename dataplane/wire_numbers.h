// What headers carry to say which header is next, in host byte order, as IANA assigns it. The software
// eSwitch has its own: it is a DPDK driver, and takes nothing from the folders above it.
#pragma once

#include <cstdint>

namespace berth::dataplane {

// Ethernet (IEEE 802 numbers).
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86DD;
inline constexpr std::uint16_t kEtherTypeServiceVlan = 0x88A8;

// IPv4's protocol and IPv6's next header (protocol numbers).
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;

// UDP's destination port (RFC 7348).
inline constexpr std::uint16_t kVxlanUdpPort = 4789;

}  // namespace berth::dataplane
