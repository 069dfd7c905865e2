// The Internet checksum (RFC 1071).
#pragma once

#include "base/ip_address.h"

#include <cstdint>
#include <span>

namespace berth::dataplane::slowpath {

// Of an IPv4 header or an ICMPv4 message. Over bytes that contain their own right checksum: 0.
std::uint16_t checksum(std::span<const std::uint8_t> bytes);

// Of a UDP, TCP or ICMPv6 message with its pseudo header (RFC 768, RFC 8200 section 8.1). The addresses are
// of one family.
std::uint16_t checksum(const IpAddress& src, const IpAddress& dst, std::uint8_t protocol,
                       std::span<const std::uint8_t> message);

}  // namespace berth::dataplane::slowpath
