// What the parser reports of a packet, and that it survives every truncation.
#include "dataplane/soft/parser.h"

#include "tests/unit/soft/packet.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>
#include <rte_byteorder.h>

namespace berth::soft::test {
namespace {

constexpr const char* kA = "02:00:00:00:00:0a";
constexpr const char* kB = "02:00:00:00:00:0b";

ParsedPacket parsed(const Bytes& packet) {
  ParsedPacket out;
  parse(packet.data(), static_cast<std::uint32_t>(packet.size()), 3, out);
  return out;
}

TEST(Parser, ReadsEthernetIpv4AndTcp) {
  const ParsedPacket out =
      parsed(Packet().eth(kA, kB).ipv4("10.1.0.5", "10.1.0.6", 9).tcp(1234, 80, 0x12).bytes());
  EXPECT_EQ(out.fields.port, 3);
  EXPECT_EQ(out.fields.outer.presence, kHasEthernet | kHasIpv4 | kHasTcp);
  EXPECT_EQ(out.fields.outer.ether_type, RTE_BE16(0x0800));
  EXPECT_EQ(out.fields.outer.src_mac[5], 0x0a);
  EXPECT_EQ(out.fields.outer.dst_mac[5], 0x0b);
  EXPECT_EQ(out.fields.outer.addresses[3], 5);
  EXPECT_EQ(out.fields.outer.addresses[7], 6);
  EXPECT_EQ(out.fields.outer.ttl, 9);
  EXPECT_EQ(out.fields.outer.protocol, 6);
  EXPECT_EQ(out.fields.outer.tcp_flags, 0x12);
  EXPECT_EQ(out.fields.outer.dst_port[1], 80);
  EXPECT_EQ(out.outer.l3, 14);
  EXPECT_EQ(out.outer.l4, 34);
}

TEST(Parser, ReportsTheTypeBehindTheTags) {
  const ParsedPacket one = parsed(Packet().eth(kA, kB).vlan(0x2005).ipv4("10.0.0.1", "10.0.0.2").bytes());
  EXPECT_EQ(one.fields.outer.presence, kHasEthernet | kHasVlan | kHasIpv4);
  EXPECT_EQ(one.fields.outer.vlan_tci, RTE_BE16(0x2005));
  EXPECT_EQ(one.fields.outer.ether_type, RTE_BE16(0x0800));
  const ParsedPacket two =
      parsed(Packet().eth(kA, kB).vlan(7, 0x88a8).vlan(8).ipv4("10.0.0.1", "10.0.0.2").bytes());
  EXPECT_EQ(two.fields.outer.presence, kHasEthernet | kHasVlan | kHasMoreVlan | kHasIpv4);
  EXPECT_EQ(two.fields.outer.vlan_tci, RTE_BE16(7));
}

TEST(Parser, ReadsThroughVxlan) {
  const ParsedPacket out = parsed(Packet()
                                      .eth(kA, kB)
                                      .ipv4("10.0.0.1", "10.0.0.2")
                                      .udp(50000, 4789)
                                      .vxlan(7001)
                                      .eth(kB, kA)
                                      .ipv6("fd00::1", "fd00::2")
                                      .icmp6(135)
                                      .bytes());
  EXPECT_EQ(out.fields.outer.presence, kHasEthernet | kHasIpv4 | kHasUdp | kHasVxlan);
  EXPECT_EQ(out.fields.outer.vni[1], 7001 >> 8);
  EXPECT_EQ(out.fields.inner.presence, kHasEthernet | kHasIpv6 | kHasIcmp6);
  EXPECT_EQ(out.fields.inner.src_port[0], 135);
  EXPECT_EQ(out.inner.l2, 50);
  EXPECT_EQ(out.inner.l3, 64);
}

TEST(Parser, VxlanWithoutValidVniFlagIsPlainUdp) {
  Bytes packet = Packet().eth(kA, kB).ipv4("10.0.0.1", "10.0.0.2").udp(1, 4789).vxlan(7).eth(kA, kB).bytes();
  packet[42] = 0;
  EXPECT_EQ(parsed(packet).fields.outer.presence, kHasEthernet | kHasIpv4 | kHasUdp);
}

TEST(Parser, LaterFragmentsHaveNoLayerFour) {
  EXPECT_EQ(parsed(Packet().eth(kA, kB).ipv4("10.0.0.1", "10.0.0.2", 64, 0x2000).udp(1, 2).bytes())
                .fields.outer.presence,
            kHasEthernet | kHasIpv4 | kHasUdp);
  EXPECT_EQ(parsed(Packet().eth(kA, kB).ipv4("10.0.0.1", "10.0.0.2", 64, 0x0010).udp(1, 2).bytes())
                .fields.outer.presence,
            kHasEthernet | kHasIpv4);
  const ParsedPacket first =
      parsed(Packet().eth(kA, kB).ipv6("fd00::1", "fd00::2").ipv6_fragment(1).udp(1, 2).bytes());
  EXPECT_EQ(first.fields.outer.presence, kHasEthernet | kHasIpv6 | kHasFragmentHeader | kHasUdp);
  const ParsedPacket later =
      parsed(Packet().eth(kA, kB).ipv6("fd00::1", "fd00::2").ipv6_fragment(8).udp(1, 2).bytes());
  EXPECT_EQ(later.fields.outer.presence, kHasEthernet | kHasIpv6 | kHasFragmentHeader);
}

TEST(Parser, MalformedIpIsNotIp) {
  Bytes short_header = Packet().eth(kA, kB).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes();
  short_header[14] = 0x44;
  EXPECT_EQ(parsed(short_header).fields.outer.presence, kHasEthernet);
  Bytes wrong_version = short_header;
  wrong_version[14] = 0x65;
  EXPECT_EQ(parsed(wrong_version).fields.outer.presence, kHasEthernet);
}

// Every prefix of a packet in a buffer of exactly its size: the address sanitizer watches.
TEST(Parser, NeverReadsPastTheEnd) {
  const Bytes whole = Packet()
                          .eth(kA, kB)
                          .vlan(5, 0x88a8)
                          .vlan(6)
                          .ipv6("fd00::1", "fd00::2")
                          .ipv6_fragment(1)
                          .udp(1, 4789)
                          .vxlan(9)
                          .eth(kA, kB)
                          .vlan(7)
                          .ipv4("10.0.0.1", "10.0.0.2")
                          .tcp(1, 2)
                          .bytes();
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const auto exact = std::make_unique<std::uint8_t[]>(length);
    std::memcpy(exact.get(), whole.data(), length);
    ParsedPacket out;
    parse(exact.get(), static_cast<std::uint32_t>(length), 0, out);
    EXPECT_EQ((out.fields.inner.presence & kHasTcp) != 0, length == whole.size());
  }
}

}  // namespace
}  // namespace berth::soft::test
