// Test-only: frames put together by hand from hex and addresses, with checksums of their own making, so that
// no code of the slow path judges itself.
//
//   eth("02:..:fe", "02:..:05", 0x0800, ipv4("10.1.0.5", "10.1.0.1", 1, hex("0800 0000 1234 0001")))
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::dataplane::slowpath::test {

using Octets = std::vector<std::uint8_t>;

Octets hex(std::string_view text);  // blanks are ignored
std::string to_hex(const Octets& octets);
Octets operator+(Octets left, const Octets& right);
Octets be16(unsigned value);
Octets be32(std::uint32_t value);
Octets mac(std::string_view text);
Octets ip(std::string_view text);

Octets eth(std::string_view dst, std::string_view src, unsigned type, const Octets& payload);
Octets ipv4(std::string_view src, std::string_view dst, unsigned protocol, const Octets& payload,
            unsigned fragment = 0x4000);
Octets ipv6(std::string_view src, std::string_view dst, unsigned protocol, const Octets& payload,
            unsigned hop_limit = 255);
// With the checksum that the addresses make.
Octets udp(std::string_view src, std::string_view dst, unsigned src_port, unsigned dst_port,
           const Octets& payload);
Octets icmp(Octets message);  // checksum bytes are filled in
Octets icmp6(std::string_view src, std::string_view dst, Octets message);

// "" when lengths and checksums of an ARP, IPv4 or IPv6 frame agree with its bytes.
std::string fault_of(const Octets& frame);

}  // namespace berth::dataplane::slowpath::test
