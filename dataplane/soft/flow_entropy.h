// The UDP source port of a tunnel, 49152..65535: the same for all packets of a flow (RFC 7348, section 5).
//
// Of addresses and layer-4 ports (TTL and flags vary within a flow), or of the MAC addresses if it is not IP.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/parser.h"
#include "dataplane/soft/word_hash.h"

#include <cstdint>
#include <cstring>

namespace berth::soft {

namespace entropy {

inline std::uint64_t load(const std::uint8_t* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return word;
}

inline std::uint16_t port_of(std::uint64_t hash) {
  return static_cast<std::uint16_t>(0xc000U | (hash & 0x3fffU));
}
inline std::uint16_t of_ipv4(const std::uint8_t* ip, std::uint32_t ports) {
  return port_of(mix_words(load(ip + 12), ports));
}
inline std::uint16_t of_ipv6(const std::uint8_t* ip, std::uint32_t ports) {
  const std::uint64_t front = load(ip + 8) ^ load(ip + 24);
  const std::uint64_t back = load(ip + 16) ^ load(ip + 32);
  return port_of(mix_words(mix_words(front, back), ports));
}

// Bits of the first four bytes of layer 4 that belong to a flow's identity: ports, or ICMP's type and code.
constexpr std::uint32_t port_bits(std::uint16_t presence) {
  if ((presence & (kHasUdp | kHasTcp)) != 0) return 0xffffffff;
  return (presence & (kHasIcmp | kHasIcmp6)) != 0 ? 0xffff : 0;
}
inline std::uint32_t ports(const std::uint8_t* l4, std::uint32_t bits) {
  std::uint32_t word = 0;
  std::memcpy(&word, l4, 4);
  return word & bits;
}

}  // namespace entropy

// `frame` is a packet that was found to have these headers there.
inline std::uint16_t flow_entropy_port(const std::uint8_t* frame, const LayerOffsets& at,
                                       std::uint16_t presence) {
  const std::uint32_t bits = entropy::port_bits(presence);
  const std::uint32_t ports = bits != 0 ? entropy::ports(frame + at.l4, bits) : 0;
  if ((presence & kHasIpv4) != 0) return entropy::of_ipv4(frame + at.l3, ports);
  if ((presence & kHasIpv6) != 0) return entropy::of_ipv6(frame + at.l3, ports);
  return entropy::port_of(mix_words(entropy::load(frame), entropy::load(frame + 4)));
}

}  // namespace berth::soft
