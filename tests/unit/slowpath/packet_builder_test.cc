#include "dataplane/slowpath/packet_builder.h"

#include "dataplane/slowpath/packet.h"
#include "dataplane/wire_numbers.h"
#include "tests/unit/slowpath/octets.h"

#include <set>

#include <gtest/gtest.h>

namespace berth::dataplane::slowpath::test {
namespace {

std::size_t build_datagram(std::span<std::uint8_t> buffer, std::uint16_t payload) {
  PacketBuilder packet(buffer);
  packet.ethernet(kBroadcastMac, kBroadcastMac, kEtherTypeIpv4);
  packet.ip(IpAddress::v4(0x0A010001), IpAddress::v4(0x0A010005), kProtocolUdp);
  packet.udp(67, 68);
  packet.body().u16(payload);
  return packet.finish();
}

// RFC 768: a sum of 0 is sent as all ones, because 0 says that there is none.
TEST(PacketBuilder, AUdpChecksumIsNeverZero) {
  Octets buffer(64);
  std::set<unsigned> sums;
  for (unsigned payload = 0; payload <= 0xFFFF; ++payload) {
    ASSERT_EQ(build_datagram(buffer, static_cast<std::uint16_t>(payload)), 44U);
    sums.insert(buffer[40] * 256U + buffer[41]);
  }
  EXPECT_FALSE(sums.contains(0));
  EXPECT_TRUE(sums.contains(0xFFFF));
  EXPECT_EQ(sums.size(), 0xFFFFU);
}

TEST(PacketBuilder, WhatDoesNotFitIsNothingAndWritesNothingBeyond) {
  for (std::size_t size = 0; size < 44; ++size) {
    Octets buffer(44, 0xEE);
    EXPECT_EQ(build_datagram(std::span(buffer).first(size), 0x1234), 0U) << size;
    EXPECT_EQ(Octets(buffer.begin() + static_cast<std::ptrdiff_t>(size), buffer.end()),
              Octets(44 - size, 0xEE));
  }
}

TEST(WireReader, AReadBeyondTheEndYieldsZerosAndIsRemembered) {
  const Octets octets{1, 2, 3};
  WireReader reader(octets);
  EXPECT_EQ(reader.u16(), 0x0102);
  EXPECT_TRUE(reader.is_intact());
  EXPECT_EQ(reader.u16(), 0);
  EXPECT_FALSE(reader.is_intact());
  EXPECT_EQ(reader.u8(), 0) << "nothing is read after that";
}

}  // namespace
}  // namespace berth::dataplane::slowpath::test
