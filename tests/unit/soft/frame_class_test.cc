// Classes of frames say of a packet what the parser says: no more, no less, and not one byte past its end.
#include "dataplane/soft/frame_class.h"

#include "dataplane/soft/cache_key.h"
#include "tests/unit/soft/packet.h"

#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

constexpr const char* kA = "02:00:00:00:00:0a";
constexpr const char* kB = "02:00:00:00:00:0b";

ParsedPacket parsed(const Bytes& packet) {
  ParsedPacket out;
  parse(packet.data(), static_cast<std::uint32_t>(packet.size()), 0, out);
  return out;
}

FrameClass class_of(const Bytes& packet) {
  return classify(packet.data(), static_cast<std::uint32_t>(packet.size()));
}

Packet ethernet() {
  return Packet().eth(kA, kB);
}
Packet with_ip(Packet packet, bool is_v6) {
  return is_v6 ? packet.ipv6("fd00::5", "fd00::6") : packet.ipv4("10.1.0.5", "10.1.0.6");
}
Packet with_layer4(Packet packet, bool is_v6, int layer4) {
  if (layer4 == 0) return packet.udp(1000, 53).payload(20);
  if (layer4 == 1) return packet.tcp(1000, 80, 0x12).payload(20);
  return is_v6 ? packet.icmp6(128).payload(20) : packet.icmp(8).payload(20);
}

// One packet of every class.
std::vector<Bytes> usual_packets() {
  std::vector<Bytes> packets;
  for (const int outer : {-1, 0, 1}) {  // no tunnel, over IPv4, over IPv6
    for (const bool is_v6 : {false, true}) {
      for (const int layer4 : {0, 1, 2}) {
        Packet packet = ethernet();
        if (outer >= 0) packet = with_ip(packet, outer == 1).udp(50000, 4789).vxlan(7001).eth(kB, kA);
        packets.push_back(with_layer4(with_ip(packet, is_v6), is_v6, layer4).bytes());
      }
    }
  }
  return packets;
}

TEST(FrameClass, EveryUsualStackHasAClassOfItsOwn) {
  std::set<FrameClass> classes;
  for (const Bytes& packet : usual_packets()) {
    const FrameClass of = class_of(packet);
    EXPECT_NE(of, kUnusual);
    classes.insert(of);
    const FrameShape& shape = kFrameShapes[of];
    const ParsedPacket out = parsed(packet);
    EXPECT_EQ(shape.outer_presence, out.fields.outer.presence);
    EXPECT_EQ(shape.inner_presence, out.fields.inner.presence);
    EXPECT_EQ(shape.outer.l3, out.outer.l3);
    EXPECT_EQ(shape.outer.l4, out.outer.l4);
    EXPECT_EQ(shape.inner.l2, out.inner.l2);
    EXPECT_EQ(shape.inner.l3, out.inner.l3);
    EXPECT_EQ(shape.inner.l4, out.inner.l4);
    EXPECT_EQ(shape.entropy_port(packet.data()),
              flow_entropy_port(packet.data(), out.outer, out.fields.outer.presence));
  }
  EXPECT_EQ(classes.size(), kFrameClasses - 1);
}

TEST(FrameClass, TagsOptionsFragmentsAndExtensionHeadersAreUnusual) {
  EXPECT_EQ(class_of(ethernet().vlan(5).ipv4("10.1.0.5", "10.1.0.6").udp(1, 2).payload(20).bytes()),
            kUnusual);
  EXPECT_EQ(class_of(ethernet().arp().payload(20).bytes()), kUnusual);
  for (const std::uint16_t fragment : std::initializer_list<std::uint16_t>{0x2000, 0x2001, 0x0001, 0x1fff}) {
    EXPECT_EQ(class_of(ethernet().ipv4("10.1.0.5", "10.1.0.6", 64, fragment).udp(1, 2).payload(20).bytes()),
              kUnusual);
  }
  const Bytes whole = ethernet().ipv4("10.1.0.5", "10.1.0.6", 64, 0x4000).udp(1, 2).payload(20).bytes();
  EXPECT_NE(class_of(whole), kUnusual) << "do not fragment is usual";
  for (const std::uint16_t offset : std::initializer_list<std::uint16_t>{0, 1, 8}) {
    EXPECT_EQ(
        class_of(ethernet().ipv6("fd00::5", "fd00::6").ipv6_fragment(offset).udp(1, 2).payload(20).bytes()),
        kUnusual);
  }
  Bytes extended = ethernet().ipv6("fd00::5", "fd00::6").udp(1, 2).payload(40).bytes();
  for (const std::uint8_t next : std::initializer_list<std::uint8_t>{0, 43, 44, 50, 51, 60, 135}) {
    extended[20] = next;
    EXPECT_EQ(class_of(extended), kUnusual) << int{next};
  }
  Bytes options = whole;
  options[14] = 0x46;
  EXPECT_EQ(class_of(options), kUnusual);
  // Inside a tunnel, too; and a tunnel in a tunnel.
  const auto tunnel = [] {
    return ethernet().ipv4("10.0.0.1", "10.0.0.2").udp(1, 4789).vxlan(7).eth(kA, kB);
  };
  EXPECT_EQ(class_of(tunnel().ipv4("10.1.0.5", "10.1.0.6", 64, 1).udp(1, 2).payload(20).bytes()), kUnusual);
  EXPECT_EQ(class_of(tunnel().ipv4("10.1.0.5", "10.1.0.6").udp(1, 4789).vxlan(8).payload(20).bytes()),
            kUnusual);
}

// Every prefix of a packet in a buffer of exactly its size: the address sanitizer watches.
TEST(FrameClass, CutPacketsHaveTheClassThatTheirHeadersAllow) {
  for (const Bytes& whole : usual_packets()) {
    for (std::size_t length = 0; length <= whole.size(); ++length) {
      const auto exact = std::make_unique<std::uint8_t[]>(length);
      std::memcpy(exact.get(), whole.data(), length);
      const FrameClass of = classify(exact.get(), static_cast<std::uint32_t>(length));
      if (of == kUnusual) continue;
      ASSERT_GE(length, kFrameShapes[of].least);
      ParsedPacket out;
      parse(exact.get(), static_cast<std::uint32_t>(length), 0, out);
      ASSERT_EQ(kFrameShapes[of].outer_presence, out.fields.outer.presence);
      ASSERT_EQ(kFrameShapes[of].inner_presence, out.fields.inner.presence);
    }
  }
}

bool equal_under(const FieldVector& a, const FieldVector& b, const FieldVector& mask) {
  const FieldWords left = words_of(a);
  const FieldWords right = words_of(b);
  const FieldWords bits = words_of(mask);
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < kFieldWords; ++i) difference |= (left[i] ^ right[i]) & bits[i];
  return difference == 0;
}

bool equal_key(const Bytes& a, const Bytes& b, const KeyPlan& plan) {
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < plan.blocks * KeyPlan::kBlock; ++i) {
    const auto left = frame::load<std::uint64_t>(a.data() + plan.offset[i]);
    const auto right = frame::load<std::uint64_t>(b.data() + plan.offset[i]);
    difference |= (left ^ right) & plan.mask[i];
  }
  return difference == 0;
}

// Packets of a class are equal in a key's bytes if and only if they are equal in the fields that it stands
// for.
TEST(FrameClass, KeysSayWhatFieldsSay) {
  std::mt19937 random(11);
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  std::size_t equal = 0;
  std::size_t different = 0;
  for (const Bytes& packet : usual_packets()) {
    const FrameClass of = class_of(packet);
    for (int round = 0; round < 4000; ++round) {
      Bytes other = packet;
      other[below(packet.size())] ^= static_cast<std::uint8_t>(1U << below(8));
      if (class_of(other) != of) continue;
      std::array<std::uint8_t, sizeof(FieldVector)> bits{};
      for (std::size_t i = 0; i < 2 * sizeof(LayerFields); ++i) {
        if (below(3) != 0) continue;
        bits[i] = below(4) == 0 ? static_cast<std::uint8_t>(1U << below(8)) : 0xff;
      }
      const auto mask = std::bit_cast<FieldVector>(bits);
      const KeyPlan plan = KeyPlan::covering(spread_mask(mask, of), kFrameShapes[of].least);
      if (plan.blocks == 0) continue;  // too wide to be cached
      const bool fields_are_equal = equal_under(parsed(packet).fields, parsed(other).fields, mask);
      ASSERT_EQ(equal_key(packet, other, plan), fields_are_equal)
          << "class " << int{of} << " round " << round;
      ++(fields_are_equal ? equal : different);
    }
  }
  EXPECT_GT(equal, 10000U);
  EXPECT_GT(different, 3000U);
}

}  // namespace
}  // namespace berth::soft::test
