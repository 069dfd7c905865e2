// What a packet looks like to a rule: a fixed vector of header fields, two layers and the metadata.
//
// The parser fills it once per packet; a rule's pattern is lowered to a key and a mask of the same
// shape (match.h), so that matching is "words & mask == key" and never touches the packet again.
// Header fields are in network byte order, metadata in host order; a field of an absent header is zero.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace berth::soft {

// Index into the switch's own port table: 0 is the uplink, 1.. the functions. Not an ethdev id.
using PortIndex = std::uint16_t;
inline constexpr PortIndex kUplink = 0;
inline constexpr PortIndex kNoPort = 0xffff;
inline constexpr PortIndex kAnyPort = 0xfffe;  // of a rule that does not match its source

inline constexpr std::size_t kTagCount = 4;

// Which headers a layer has. A later fragment has none of the layer-4 bits.
enum Presence : std::uint16_t {
  kHasEthernet = 1 << 0,
  kHasVlan = 1 << 1,
  kHasMoreVlan = 1 << 2,
  kHasIpv4 = 1 << 3,
  kHasIpv6 = 1 << 4,
  kHasUdp = 1 << 5,
  kHasTcp = 1 << 6,
  kHasIcmp = 1 << 7,
  kHasIcmp6 = 1 << 8,
  kHasVxlan = 1 << 9,
  kHasFragmentHeader = 1 << 10,  // IPv6 only
};

// One Ethernet/IP/L4 stack: 64 bytes, ordered so that what rules usually match together shares words.
struct LayerFields {
  std::array<std::uint8_t, 6> src_mac;
  std::uint16_t ether_type;  // of what follows the VLAN tags, as the hardware parser reports it
  std::array<std::uint8_t, 6> dst_mac;
  std::uint16_t vlan_tci;                  // of the outermost tag
  std::array<std::uint8_t, 32> addresses;  // IPv4: source, destination; IPv6: the same, 16 bytes each
  std::array<std::uint8_t, 2> src_port;    // ICMP: type and code
  std::array<std::uint8_t, 2> dst_port;
  std::uint8_t protocol;  // IPv6: of the layer-4 header, past a fragment header
  std::uint8_t tos;
  std::uint8_t ttl;
  std::uint8_t tcp_flags;
  std::uint16_t fragment;  // IPv4 flags and offset
  std::uint16_t presence;  // Presence bits, host order
  std::array<std::uint8_t, 3> vni;
  std::uint8_t reserved;
};
static_assert(sizeof(LayerFields) == 64);

inline constexpr std::size_t kIpv4Source = offsetof(LayerFields, addresses);
inline constexpr std::size_t kIpv4Destination = kIpv4Source + 4;
inline constexpr std::size_t kIpv6Source = kIpv4Source;
inline constexpr std::size_t kIpv6Destination = kIpv4Source + 16;

struct FieldVector {
  LayerFields outer;
  LayerFields inner;  // inside a VXLAN tunnel; all zero otherwise
  PortIndex port;     // where the packet came from
  std::uint16_t reserved;
  std::array<std::uint32_t, kTagCount> tags;  // zero when the packet arrives, kept across jumps
  std::uint32_t color;                        // rte_color of the last METER_MARK; green before that
};

inline constexpr std::size_t kLayerWords = sizeof(LayerFields) / 8;  // the outer ones, then the inner ones
inline constexpr std::size_t kFieldWords = sizeof(FieldVector) / 8;
using FieldWords = std::array<std::uint64_t, kFieldWords>;
static_assert(sizeof(FieldVector) == 8 * kFieldWords);

inline FieldWords words_of(const FieldVector& fields) {
  return std::bit_cast<FieldWords>(fields);
}

}  // namespace berth::soft
