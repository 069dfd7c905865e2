// VXLAN encapsulation and decapsulation of a packet in an mbuf.
//
// The outer header is built once, when a rule is created. Per packet only the lengths, the IPv4 checksum
// and the UDP source port are written: the source port carries the flow's entropy (RFC 7348, section 5)
// and the UDP checksum is zero, both as the NIC does it.
#pragma once

#include "dataplane/soft/parser.h"
#include "dataplane/soft/rule_error.h"

#include <array>
#include <cstdint>

#include <rte_flow.h>
#include <rte_mbuf.h>

namespace berth::soft {

inline constexpr std::size_t kMaxEncapBytes = 132;

struct EncapHeader {
  std::uint8_t length = 0;  // bytes of `data`
  std::uint8_t l3 = 0;      // offset of the IP header
  std::uint8_t l4 = 0;      // offset of the UDP header
  bool is_ipv4 = true;
  std::uint32_t partial_sum = 0;  // of the IPv4 header with total length 0, not folded
  std::array<std::uint8_t, kMaxEncapBytes> data{};

  bool operator==(const EncapHeader&) const = default;
};

// From the items of a VXLAN_ENCAP action (HP-24): ETH [VLAN] IPV4|IPV6 UDP VXLAN. What the definition
// leaves at zero (types, version, TTL, UDP port 4789, VXLAN flags) is filled in.
RuleResult<EncapHeader> build_encap_header(const rte_flow_item* definition);

// UDP source port, 49152..65535, the same for all packets of a flow.
std::uint16_t flow_entropy_port(const LayerFields& flow);

// Puts the header in front. False (packet unchanged) when the mbuf has too little headroom.
bool push_encap(rte_mbuf& packet, const EncapHeader& header, std::uint16_t entropy_port);

// Takes the outer headers off; `packet.inner` and its fields become the outer ones.
bool pop_encap(rte_mbuf& packet, ParsedPacket& parsed);

}  // namespace berth::soft
