// VXLAN encapsulation and decapsulation of a packet in an mbuf.
//
// The outer header is built once, when a rule is created. Per packet only the lengths, the IPv4 checksum
// and the UDP source port are written: the source port carries the flow's entropy (RFC 7348, section 5)
// and the UDP checksum is zero, both as the NIC does it.
#pragma once

#include "dataplane/soft/parser.h"
#include "dataplane/soft/rule_error.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rte_flow.h>
#include <rte_mbuf.h>

namespace berth::soft {

inline constexpr std::size_t kMaxEncapBytes = 132;

struct EncapHeader {
  std::uint8_t length = 0;  // bytes of `data`
  std::uint8_t l3 = 0;      // offset of the IP header
  std::uint8_t l4 = 0;      // offset of the UDP header
  bool is_ipv4 = true;
  // Of the IPv4 header with total length 0: 16 bits, the sum of its words as they lie there (RFC 1071,
  // section 2: byte order does not matter).
  std::uint32_t partial_sum = 0;
  std::array<std::uint8_t, kMaxEncapBytes> data{};

  bool operator==(const EncapHeader&) const = default;
};

// From the items of a VXLAN_ENCAP action (HP-24): ETH [VLAN] IPV4|IPV6 UDP VXLAN. What the definition
// leaves at zero (types, version, TTL, UDP port 4789, VXLAN flags) is filled in.
RuleResult<EncapHeader> build_encap_header(const rte_flow_item* definition);

// Puts `added` bytes of header in front, with IP and UDP at these places; inlined once for each usual header,
// whose numbers the compiler knows then. `partial_sum` is null for IPv6.
[[gnu::always_inline]] inline bool push_header(rte_mbuf& packet, const EncapHeader& header,
                                               std::uint32_t added, std::uint32_t l3, std::uint32_t l4,
                                               const std::uint32_t* partial_sum, std::uint16_t entropy_port) {
  if (packet.data_off < added) [[unlikely]]
    return false;
  std::uint8_t* out = rte_pktmbuf_mtod(&packet, std::uint8_t*) - added;
  const std::uint32_t length = packet.pkt_len + added;
  packet.data_off = static_cast<std::uint16_t>(packet.data_off - added);
  packet.data_len = static_cast<std::uint16_t>(packet.data_len + added);
  packet.pkt_len = length;
  std::memcpy(out, header.data.data(), added);

  // DPDK's own swap costs three times as much when the value is not known to the compiler.
  const auto wire_order = [](std::uint32_t value) {
    const auto bits = static_cast<std::uint16_t>(value);
    return std::uint32_t{std::endian::native == std::endian::little ? std::byteswap(bits) : bits};
  };
  const auto put = [out](std::size_t at, std::uint32_t wire) {
    const auto bits = static_cast<std::uint16_t>(wire);
    std::memcpy(out + at, &bits, 2);
  };
  const std::uint32_t behind_ip = wire_order(length - l4);
  if (partial_sum != nullptr) {
    const std::uint32_t total = wire_order(length - l3);
    std::uint32_t sum = *partial_sum + total;
    sum += sum >> 16;  // of two numbers of 16 bits: once is enough
    put(l3 + 2, total);
    put(l3 + 10, ~sum);
  } else {
    put(l3 + 4, behind_ip);
  }
  put(l4, wire_order(entropy_port));
  put(l4 + 4, behind_ip);
  return true;
}

// Puts the header in front. False (packet unchanged) when the mbuf has too little headroom.
[[gnu::always_inline]] inline bool push_encap(rte_mbuf& packet, const EncapHeader& header,
                                              std::uint16_t entropy_port) {
  // Without a tag: Ethernet 14, IPv4 20 or IPv6 40, UDP 8, VXLAN 8.
  if (header.length == 50) [[likely]]
    return push_header(packet, header, 50, 14, 34, &header.partial_sum, entropy_port);
  if (header.length == 70) return push_header(packet, header, 70, 14, 54, nullptr, entropy_port);
  return push_header(packet, header, header.length, header.l3, header.l4,
                     header.is_ipv4 ? &header.partial_sum : nullptr, entropy_port);
}

// Takes the outer headers off; `packet.inner` and its fields become the outer ones.
bool pop_encap(rte_mbuf& packet, ParsedPacket& parsed);

}  // namespace berth::soft
