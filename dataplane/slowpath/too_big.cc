#include "dataplane/slowpath/too_big.h"

#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kUnreachable = 3;
constexpr std::uint8_t kFragmentationNeeded = 4;
constexpr std::uint8_t kPacketTooBig = 2;
// RFC 1812 section 4.3.2.3: as much of the packet as fits 576 bytes. RFC 4443 section 2.4: 1280.
constexpr std::size_t kQuotedBytesV4 = 576 - 20 - 8;
constexpr std::size_t kQuotedBytesV6 = 1280 - 40 - 8;

bool is_later_fragment(const IpPacket& packet) {
  return packet.src.is_v4() && ((packet.whole[6] & 0x1F) != 0 || packet.whole[7] != 0);
}

// What no error is sent about: errors themselves. Types of ICMP from RFC 1122 section 3.2.2; ICMPv6 errors
// are the types below 128, and redirects.
bool is_icmp_error(const IpPacket& packet) {
  if (packet.payload.empty()) return false;
  const std::uint8_t type = packet.payload[0];
  if (packet.protocol == kProtocolIcmp && packet.src.is_v4())
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  return packet.protocol == kProtocolIcmpv6 && !packet.src.is_v4() && (type < 128 || type == 137);
}

Answer answer_v4(const IpPacket& packet, const PortFacts& port, std::span<std::uint8_t> reply) {
  PacketBuilder answer(reply);
  answer.ethernet(port.vm_mac(), port.gateway_mac(), kEtherTypeIpv4);
  answer.ip(port.v4->gateway, packet.src, kProtocolIcmp);
  answer.body().u8(kUnreachable);
  answer.body().u8(kFragmentationNeeded);
  answer.body().zeros(4);  // checksum, unused
  answer.body().u16(static_cast<std::uint16_t>(port.answers.mtu_bytes));
  answer.body().bytes(packet.whole.first(std::min(packet.whole.size(), kQuotedBytesV4)));
  return Answer::of(Outcome::kPacketTooBig, answer.finish());
}

Answer answer_v6(const IpPacket& packet, const PortFacts& port, std::span<std::uint8_t> reply) {
  PacketBuilder answer(reply);
  answer.ethernet(port.vm_mac(), port.gateway_mac(), kEtherTypeIpv6);
  answer.ip(port.v6->gateway, packet.src, kProtocolIcmpv6);
  answer.body().u8(kPacketTooBig);
  answer.body().zeros(3);  // code, checksum
  answer.body().u32(port.answers.mtu_bytes);
  answer.body().bytes(packet.whole.first(std::min(packet.whole.size(), kQuotedBytesV6)));
  return Answer::of(Outcome::kPacketTooBig, answer.finish());
}

}  // namespace

Answer answer_too_big(Bytes bytes, const PortFacts& port, std::span<std::uint8_t> reply) {
  const auto frame = read_frame(bytes);
  if (!frame) return Answer::silent(Outcome::kMalformed);
  if (is_vlan_type(frame->ether_type)) return Answer::silent(Outcome::kVlanTagged);
  const bool is_v4 = frame->ether_type == kEtherTypeIpv4;
  if (!is_v4 && frame->ether_type != kEtherTypeIpv6) return Answer::silent(Outcome::kNotForUs);
  const auto packet = is_v4 ? read_ipv4(frame->payload) : read_ipv6(frame->payload);
  if (!packet) return Answer::silent(Outcome::kMalformed);

  const auto& address = is_v4 ? port.v4 : port.v6;
  if (!address || frame->src != port.vm_mac() || packet->src != address->ip)
    return Answer::silent(Outcome::kSpoofed);
  if (packet->whole.size() <= port.answers.mtu_bytes || packet->may_be_fragmented ||
      packet->dst.is_multicast() || frame->dst.is_multicast() || is_later_fragment(*packet) ||
      is_icmp_error(*packet)) {
    return Answer::silent(Outcome::kNotForUs);
  }
  return is_v4 ? answer_v4(*packet, port, reply) : answer_v6(*packet, port, reply);
}

}  // namespace berth::dataplane::slowpath
