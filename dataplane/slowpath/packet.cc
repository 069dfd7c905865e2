#include "dataplane/slowpath/packet.h"

#include "dataplane/slowpath/checksum.h"
#include "dataplane/wire_numbers.h"

namespace berth::dataplane::slowpath {
namespace {

// What bridges called a service VLAN before IEEE 802.1ad had a number for it.
constexpr std::uint16_t kOldServiceVlan = 0x9100;
constexpr std::size_t kIpv4HeaderBytes = 20;
constexpr std::size_t kIpv6HeaderBytes = 40;
constexpr std::size_t kUdpHeaderBytes = 8;

}  // namespace

std::optional<Frame> read_frame(Bytes bytes) {
  WireReader reader(bytes);
  Frame frame{.dst = reader.mac(), .src = reader.mac(), .ether_type = reader.u16(), .payload = reader.rest()};
  if (!reader.is_intact()) return std::nullopt;
  return frame;
}

bool is_vlan_type(std::uint16_t ether_type) {
  return ether_type == kEtherTypeVlan || ether_type == kEtherTypeServiceVlan || ether_type == kOldServiceVlan;
}

std::optional<IpPacket> read_ipv4(Bytes bytes) {
  WireReader reader(bytes);
  IpPacket packet;
  const std::uint8_t version_and_length = reader.u8();
  const std::size_t header_bytes = 4U * (version_and_length & 0xF);
  reader.skip(1);
  const std::size_t total_bytes = reader.u16();
  reader.skip(2);
  const std::uint16_t fragment = reader.u16();
  packet.hop_limit = reader.u8();
  packet.protocol = reader.u8();
  reader.skip(2);
  packet.src = reader.ipv4();
  packet.dst = reader.ipv4();
  if (!reader.is_intact() || version_and_length >> 4 != 4 || header_bytes < kIpv4HeaderBytes ||
      total_bytes < header_bytes || total_bytes > bytes.size() || checksum(bytes.first(header_bytes)) != 0) {
    return std::nullopt;
  }
  packet.is_fragment = (fragment & 0x3FFF) != 0;  // an offset, or more to come
  packet.may_be_fragmented = (fragment & 0x4000) == 0;
  packet.whole = bytes.first(total_bytes);
  packet.payload = packet.whole.subspan(header_bytes);
  return packet;
}

std::optional<IpPacket> read_ipv6(Bytes bytes) {
  WireReader reader(bytes);
  IpPacket packet{.may_be_fragmented = false};
  const std::uint32_t version_class_flow = reader.u32();
  const std::size_t payload_bytes = reader.u16();
  packet.protocol = reader.u8();
  packet.hop_limit = reader.u8();
  packet.src = reader.ipv6();
  packet.dst = reader.ipv6();
  packet.payload = reader.bytes(payload_bytes);
  if (!reader.is_intact() || version_class_flow >> 28 != 6) return std::nullopt;
  packet.whole = bytes.first(kIpv6HeaderBytes + payload_bytes);
  return packet;
}

std::optional<UdpDatagram> read_udp(const IpPacket& packet) {
  WireReader reader(packet.payload);
  UdpDatagram datagram{.src_port = reader.u16(), .dst_port = reader.u16(), .payload = {}};
  const std::size_t length = reader.u16();
  const std::uint16_t sum = reader.u16();
  if (!reader.is_intact() || length < kUdpHeaderBytes || length > packet.payload.size()) return std::nullopt;
  const bool is_unchecked = sum == 0 && packet.src.is_v4();
  if (!is_unchecked &&
      (sum == 0 || checksum(packet.src, packet.dst, kProtocolUdp, packet.payload.first(length)) != 0)) {
    return std::nullopt;
  }
  datagram.payload = packet.payload.subspan(kUdpHeaderBytes, length - kUdpHeaderBytes);
  return datagram;
}

IpAddress link_local_of(const MacAddress& mac) {
  const auto& b = mac.bytes;
  return IpAddress::v6({0xFE, 0x80, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(b[0] ^ 2), b[1], b[2], 0xFF,
                        0xFE, b[3], b[4], b[5]});
}

bool is_link_local(const IpAddress& ip) {
  return !ip.is_v4() && ip.bytes()[0] == 0xFE && (ip.bytes()[1] & 0xC0) == 0x80;
}

}  // namespace berth::dataplane::slowpath
