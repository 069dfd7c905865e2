#include "dataplane/soft/frame_class.h"

namespace berth::soft {
namespace {

constexpr bool is_ipv6(unsigned kind) {
  return kind >= 3;
}

constexpr std::uint16_t presence_of(unsigned kind) {
  constexpr std::array<std::uint16_t, kKinds> kLayer4{kHasUdp, kHasTcp, kHasIcmp,
                                                      kHasUdp, kHasTcp, kHasIcmp6};
  return static_cast<std::uint16_t>(kHasEthernet | (is_ipv6(kind) ? kHasIpv6 : kHasIpv4) | kLayer4[kind]);
}

constexpr LayerOffsets offsets_of(unsigned kind, std::uint32_t l2) {
  const std::uint32_t l4 = is_ipv6(kind) ? frame::kL4OfIpv6 : frame::kL4OfIpv4;
  return {static_cast<std::uint16_t>(l2), static_cast<std::uint16_t>(l2 + frame::kL3),
          static_cast<std::uint16_t>(l2 + l4)};
}

struct Stack {
  unsigned outer = kNoKind;
  unsigned inner = kNoKind;
};

constexpr Stack stack_of(FrameClass of) {
  if (of == kUnusual) return {};
  const unsigned kind = (of - 1U) % kKinds;
  if (of <= kKinds) return {.outer = kind};
  return {.outer = of <= 2 * kKinds ? 0U : 3U, .inner = kind};
}

constexpr FrameShape shape_of(FrameClass of) {
  const Stack stack = stack_of(of);
  if (stack.outer == kNoKind) return {};
  FrameShape shape{.least = frame::kLeast[stack.outer],
                   .outer = offsets_of(stack.outer, 0),
                   .inner = {},
                   .outer_presence = presence_of(stack.outer),
                   .port_bits = entropy::port_bits(presence_of(stack.outer))};
  if (stack.inner == kNoKind) return shape;
  const std::uint32_t inside = shape.outer.l4 + frame::kUdpBytes + frame::kVxlanBytes;
  shape.least = static_cast<std::uint16_t>(inside + frame::kLeast[stack.inner]);
  shape.inner = offsets_of(stack.inner, inside);
  shape.outer_presence = static_cast<std::uint16_t>(shape.outer_presence | kHasVxlan);
  shape.inner_presence = presence_of(stack.inner);
  return shape;
}

constexpr void add_raw_words(unsigned kind, const LayerOffsets& at, RawWord* words) {
  constexpr std::uint64_t kAll = ~std::uint64_t{0};
  const auto byte = [](std::size_t offset) { return static_cast<std::uint8_t>(offset); };
  words[0] = {byte(at.l2 + 6U), kAll, kAll};
  words[1] = {byte(at.l2), kAll >> 16, kAll};  // the destination MAC; no tag
  if (is_ipv6(kind)) {
    for (std::size_t i = 0; i < 4; ++i) words[2 + i] = {byte(at.l3 + 8 + 8 * i), kAll, kAll};
  } else {
    words[2] = {byte(at.l3 + 12U), kAll, kAll};
    for (std::size_t i = 3; i < 6; ++i) words[i] = {0, 0, kAll};
  }
  words[6] = {byte(at.l4), entropy::port_bits(presence_of(kind)), kAll >> 32};
  words[7] = {};
}

// Presence, Ethernet type and protocol are what the class itself says.
class Spreader {
 public:
  Spreader(const LayerFields& mask, const LayerOffsets& at, RawMask& raw) : mask_(mask), at_(at), raw_(raw) {}

  void spread(unsigned kind) {
    put(mask_.dst_mac.data(), 6, at_.l2);
    put(mask_.src_mac.data(), 6, at_.l2 + 6U);
    if (is_ipv6(kind)) {
      // The traffic class is the two middle nibbles of the first two bytes.
      raw_[at_.l3] |= static_cast<std::uint8_t>(mask_.tos >> 4);
      raw_[at_.l3 + 1U] |= static_cast<std::uint8_t>(mask_.tos << 4);
      put(&mask_.ttl, 1, at_.l3 + 7U);
      put(mask_.addresses.data(), 32, at_.l3 + 8U);
    } else {
      put(&mask_.tos, 1, at_.l3 + 1U);
      put(reinterpret_cast<const std::uint8_t*>(&mask_.fragment), 2, at_.l3 + 6U);
      put(&mask_.ttl, 1, at_.l3 + 8U);
      put(mask_.addresses.data(), 8, at_.l3 + 12U);
    }
    put(mask_.src_port.data(), 2, at_.l4);  // of ICMP: type and code
    const unsigned layer4 = kind % 3;
    if (layer4 != 2) put(mask_.dst_port.data(), 2, at_.l4 + 2U);
    if (layer4 == 1) put(&mask_.tcp_flags, 1, at_.l4 + 13U);
  }

  void spread_vni() { put(mask_.vni.data(), 3, at_.l4 + frame::kUdpBytes + 4U); }

 private:
  void put(const std::uint8_t* bits, std::size_t bytes, std::size_t at) {
    for (std::size_t i = 0; i < bytes; ++i) raw_[at + i] |= bits[i];
  }

  const LayerFields& mask_;
  const LayerOffsets& at_;
  RawMask& raw_;
};

}  // namespace

constexpr std::array<FrameShape, kFrameClasses> kFrameShapes = [] {
  std::array<FrameShape, kFrameClasses> shapes;
  for (std::size_t i = 0; i < shapes.size(); ++i) shapes[i] = shape_of(static_cast<FrameClass>(i));
  return shapes;
}();

constexpr std::array<std::array<RawWord, 2 * kLayerWords>, kFrameClasses> kRawWords = [] {
  std::array<std::array<RawWord, 2 * kLayerWords>, kFrameClasses> words{};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const Stack stack = stack_of(static_cast<FrameClass>(i));
    add_raw_words(stack.outer, kFrameShapes[i].outer, words[i].data());
    if (stack.inner != kNoKind) {
      add_raw_words(stack.inner, kFrameShapes[i].inner, words[i].data() + kLayerWords);
    } else {
      for (std::size_t at = kLayerWords; at < 2 * kLayerWords; ++at) words[i][at] = {0, 0, ~std::uint64_t{0}};
    }
  }
  return words;
}();

RawMask spread_mask(const FieldVector& mask, FrameClass of) {
  RawMask raw{};
  const Stack stack = stack_of(of);
  if (stack.outer == kNoKind) return raw;
  const FrameShape& shape = kFrameShapes[of];
  Spreader outer(mask.outer, shape.outer, raw);
  outer.spread(stack.outer);
  if (stack.inner == kNoKind) return raw;
  outer.spread_vni();
  Spreader(mask.inner, shape.inner, raw).spread(stack.inner);
  return raw;
}

}  // namespace berth::soft
