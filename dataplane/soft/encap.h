// VXLAN encapsulation and decapsulation of a packet in an mbuf.
//
// The outer header is built once, when a rule is created. Per packet only the lengths, the IPv4 checksum
// and the UDP source port are written: the source port carries the flow's entropy (RFC 7348, section 5)
// and the UDP checksum is zero, both as the NIC does it.
#pragma once

#include "dataplane/soft/parser.h"
#include "dataplane/soft/rule_error.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_flow.h>
#include <rte_mbuf.h>

namespace berth::soft {

inline constexpr std::size_t kMaxEncapBytes = 132;

struct EncapHeader {
  std::uint8_t length = 0;  // bytes of `data`
  std::uint8_t l3 = 0;      // offset of the IP header
  std::uint8_t l4 = 0;      // offset of the UDP header
  bool is_ipv4 = true;
  std::uint32_t partial_sum = 0;  // of the IPv4 header with total length 0, 16 bits
  std::array<std::uint8_t, kMaxEncapBytes> data{};

  bool operator==(const EncapHeader&) const = default;
};

// From the items of a VXLAN_ENCAP action (HP-24): ETH [VLAN] IPV4|IPV6 UDP VXLAN. What the definition
// leaves at zero (types, version, TTL, UDP port 4789, VXLAN flags) is filled in.
RuleResult<EncapHeader> build_encap_header(const rte_flow_item* definition);

// Puts the header in front. False (packet unchanged) when the mbuf has too little headroom.
[[gnu::always_inline]] inline bool push_encap(rte_mbuf& packet, const EncapHeader& header,
                                              std::uint16_t entropy_port) {
  if (packet.data_off < header.length) [[unlikely]]
    return false;
  std::uint8_t* out = rte_pktmbuf_mtod(&packet, std::uint8_t*) - header.length;
  packet.data_off = static_cast<std::uint16_t>(packet.data_off - header.length);
  packet.data_len = static_cast<std::uint16_t>(packet.data_len + header.length);
  packet.pkt_len += header.length;
  const auto write16 = [out](std::size_t at, std::uint32_t value) {
    const rte_be16_t wire = rte_cpu_to_be_16(static_cast<std::uint16_t>(value));
    std::memcpy(out + at, &wire, 2);
  };
  const auto finish = [&](std::uint32_t l3, std::uint32_t l4, bool is_ipv4) {
    const std::uint32_t behind_ip = packet.pkt_len - l4;
    if (is_ipv4) {
      const std::uint32_t total = packet.pkt_len - l3;
      std::uint32_t sum = header.partial_sum + (total & 0xffff);
      sum = (sum & 0xffff) + (sum >> 16);  // of two numbers of 16 bits: once is enough
      write16(l3 + 2, total);
      write16(l3 + 10, ~sum);
    } else {
      write16(l3 + 4, behind_ip);
    }
    write16(l4, entropy_port);
    write16(l4 + 4, behind_ip);
  };
  // Without a tag, Ethernet 14, IPv4 20 or IPv6 40, UDP 8, VXLAN 8: of known size a copy is a few moves.
  if (header.length == 50) [[likely]] {
    std::memcpy(out, header.data.data(), 50);
    finish(14, 34, true);
  } else if (header.length == 70) {
    std::memcpy(out, header.data.data(), 70);
    finish(14, 54, false);
  } else {
    std::memcpy(out, header.data.data(), header.length);
    finish(header.l3, header.l4, header.is_ipv4);
  }
  return true;
}

// Takes the outer headers off; `packet.inner` and its fields become the outer ones.
bool pop_encap(rte_mbuf& packet, ParsedPacket& parsed);

}  // namespace berth::soft
