// The usual stacks of headers, told apart by a few comparisons of whole words.
//
// Frames of one class have each header at the same offset, and every Presence bit is the same: untagged,
// IPv4 without options or IPv6 without extension headers, not a fragment, UDP, TCP or ICMP; alone, or inside
// VXLAN over either. Everything else is kUnusual, and only the parser may speak about it. What the parser
// (parser.h) would find in a frame of a class is what `spread_mask` says; the tests hold the two together.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/flow_entropy.h"
#include "dataplane/soft/parser.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace berth::soft {

using FrameClass = std::uint8_t;
inline constexpr FrameClass kUnusual = 0;

// A single stack: kind = 3 * (IPv6) + (UDP, TCP, ICMP).
inline constexpr unsigned kKinds = 6;
inline constexpr unsigned kNoKind = kKinds;
// Classes: unusual, a stack alone, a stack inside VXLAN over IPv4, the same over IPv6.
inline constexpr std::size_t kFrameClasses = 1 + 3 * kKinds;

namespace frame {

inline constexpr std::uint32_t kL3 = 14;
inline constexpr std::uint32_t kL4OfIpv4 = kL3 + 20;
inline constexpr std::uint32_t kL4OfIpv6 = kL3 + 40;
inline constexpr std::uint32_t kUdpBytes = 8;
inline constexpr std::uint32_t kVxlanBytes = 8;

}  // namespace frame

struct FrameShape {
  std::uint16_t least = 0;  // bytes that a frame of the class has at least
  LayerOffsets outer;
  LayerOffsets inner;                // all zero without a tunnel
  std::uint16_t outer_presence = 0;  // Presence bits
  std::uint16_t inner_presence = 0;
  std::uint32_t port_bits = 0;  // of the outer layer 4 (flow_entropy.h)

  // Of the outer headers, as `flow_entropy_port` says it.
  std::uint16_t entropy_port(const std::uint8_t* data) const {
    if ((outer_presence & kHasIpv4) != 0) return entropy_port_v4(data);
    return entropy::of_ipv6(data + frame::kL3, entropy::ports(data + frame::kL4OfIpv6, port_bits));
  }
  std::uint16_t entropy_port_v4(const std::uint8_t* data) const {
    return entropy::of_ipv4(data + frame::kL3, entropy::ports(data + frame::kL4OfIpv4, port_bits));
  }
};

extern const std::array<FrameShape, kFrameClasses> kFrameShapes;

// Where a frame of the class has the bits of a mask over the FieldVector; fields that the class lacks, or
// that are the same in all of its frames, drop out.
inline constexpr std::size_t kRawBytes = 192;
using RawMask = std::array<std::uint8_t, kRawBytes>;
RawMask spread_mask(const FieldVector& mask, FrameClass of);

namespace frame {

// Ethernet, IP and the least of UDP, TCP, ICMP (whose rest of eight bytes no packet lacks).
inline constexpr std::array<std::uint16_t, kKinds> kLeast{42, 54, 42, 62, 74, 62};

template <typename Word>
Word load(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}
static_assert(std::endian::native == std::endian::little);  // the constants below are

template <bool kIsIpv6>
[[gnu::always_inline]] inline unsigned kind_behind(std::uint32_t protocol, std::uint32_t left) {
  constexpr unsigned kFirst = kIsIpv6 ? 3 : 0;
  const auto if_complete = [left](unsigned kind) { return left < kLeast[kind] ? kNoKind : kind; };
  if (protocol == 17) [[likely]]
    return if_complete(kFirst);
  if (protocol == 6) return if_complete(kFirst + 1);
  if (protocol == (kIsIpv6 ? 58 : 1)) return if_complete(kFirst + 2);
  return kNoKind;
}

inline constexpr std::uint64_t kIpv4Start = 0x450008;  // Ethernet type, then version and header length
inline constexpr std::uint64_t kIpv6Start = 0x60dd86;

// Behind an Ethernet header whose type says IPv4; `left` is kLeast[0] or more.
[[gnu::always_inline]] inline unsigned kind_of_ipv4(const std::uint8_t* frame, std::uint32_t left) {
  constexpr std::uint32_t kFragmentBits = 0xff3f;  // more fragments, or an offset
  const auto word = load<std::uint32_t>(frame + 20);
  if ((word & kFragmentBits) != 0) [[unlikely]]
    return kNoKind;
  return kind_behind<false>(word >> 24, left);
}

inline unsigned kind_of(const std::uint8_t* frame, std::uint32_t left) {
  if (left < kLeast[0]) return kNoKind;
  const auto types = load<std::uint64_t>(frame + 12);
  if ((types & 0xffffff) == kIpv4Start) return kind_of_ipv4(frame, left);
  if ((types & 0xf0ffff) == kIpv6Start) return kind_behind<true>(frame[20], left);
  return kNoKind;
}

inline bool is_vxlan_port(const std::uint8_t* l4) {
  return load<std::uint16_t>(l4 + 2) == 0xb512;  // 4789
}

}  // namespace frame

// Where a frame of the class has a word of the FieldVector, for those that it has in one piece: the word's
// `known` bits are those of the frame at `offset`, in as far as `keep` has them, and 0 else.
struct RawWord {
  std::uint8_t offset = 0;
  std::uint64_t keep = 0;
  std::uint64_t known = 0;
};
extern const std::array<std::array<RawWord, 2 * kLayerWords>, kFrameClasses> kRawWords;  // outer, inner

namespace frame {

// Of a frame that is UDP over IP, and maybe a tunnel.
template <bool kIsIpv6>
[[gnu::always_inline]] inline FrameClass classify_udp(const std::uint8_t* data, std::uint32_t length) {
  constexpr std::uint8_t kFlagVniIsValid = 0x08;
  constexpr FrameClass kPlain = 1 + (kIsIpv6 ? 3 : 0);
  constexpr std::uint32_t kL4 = kIsIpv6 ? kL4OfIpv6 : kL4OfIpv4;
  constexpr std::uint32_t kInside = kL4 + kUdpBytes + kVxlanBytes;
  if (!is_vxlan_port(data + kL4)) return kPlain;
  // To the wrong port, but no tunnel: the parser sees plain UDP.
  if (length < kInside || (data[kL4 + kUdpBytes] & kFlagVniIsValid) == 0) return kPlain;
  const unsigned inner = kind_of(data + kInside, length - kInside);
  if (inner == kNoKind) return kUnusual;
  const std::uint32_t inner_l4 = kInside + (inner >= 3 ? kL4OfIpv6 : kL4OfIpv4);
  if (inner % 3 == 0 && is_vxlan_port(data + inner_l4)) return kUnusual;  // a tunnel in a tunnel
  return static_cast<FrameClass>(1 + (kIsIpv6 ? 2 : 1) * kKinds + inner);
}

}  // namespace frame

// `length` is the number of contiguous bytes at `data`.
[[gnu::always_inline]] inline FrameClass classify(const std::uint8_t* data, std::uint32_t length) {
  if (length < frame::kLeast[0]) [[unlikely]]
    return kUnusual;
  const auto types = frame::load<std::uint64_t>(data + 12);
  if ((types & 0xffffff) == frame::kIpv4Start) [[likely]] {
    const unsigned kind = frame::kind_of_ipv4(data, length);
    if (kind == 0) [[likely]]
      return frame::classify_udp<false>(data, length);
    return kind == kNoKind ? kUnusual : static_cast<FrameClass>(1 + kind);
  }
  if ((types & 0xf0ffff) != frame::kIpv6Start) [[unlikely]]
    return kUnusual;
  const unsigned kind = frame::kind_behind<true>(data[20], length);
  if (kind == 3) return frame::classify_udp<true>(data, length);
  return kind == kNoKind ? kUnusual : static_cast<FrameClass>(1 + kind);
}

}  // namespace berth::soft
