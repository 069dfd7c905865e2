#include "dataplane/slowpath/packet_builder.h"

#include "dataplane/slowpath/checksum.h"
#include "dataplane/slowpath/packet.h"
#include "dataplane/wire_numbers.h"

namespace berth::dataplane::slowpath {

void PacketBuilder::ethernet(const MacAddress& dst, const MacAddress& src, std::uint16_t ether_type) {
  writer_.mac(dst);
  writer_.mac(src);
  writer_.u16(ether_type);
}

void PacketBuilder::ip(const IpAddress& src, const IpAddress& dst, std::uint8_t protocol,
                       std::uint8_t hop_limit) {
  const std::size_t offset = writer_.size();
  if (src.is_v4()) {
    writer_.u8(0x45);     // version 4, five words
    writer_.zeros(5);     // class, length (later), identification: nothing of ours is ever fragmented
    writer_.u16(0x4000);  // don't fragment
    writer_.u8(hop_limit);
    writer_.u8(protocol);
    writer_.zeros(2);  // checksum: later
  } else {
    writer_.u32(6U << 28);
    writer_.zeros(2);  // length: later
    writer_.u8(protocol);
    writer_.u8(hop_limit);
  }
  writer_.ip(src);
  writer_.ip(dst);
  ip_ = Ip{offset, writer_.size(), src, dst, protocol};
}

void PacketBuilder::udp(std::uint16_t src_port, std::uint16_t dst_port) {
  writer_.u16(src_port);
  writer_.u16(dst_port);
  writer_.zeros(4);  // length and checksum: later
}

std::size_t PacketBuilder::finish() {
  if (!writer_.has_fitted()) return 0;
  if (ip_) {
    const std::size_t length = writer_.size() - ip_->payload_offset;
    finish_transport(*ip_, length);
    if (ip_->src.is_v4()) {
      writer_.patch_u16(ip_->offset + 2, static_cast<std::uint16_t>(writer_.size() - ip_->offset));
      const auto header = writer_.written().subspan(ip_->offset, ip_->payload_offset - ip_->offset);
      writer_.patch_u16(ip_->offset + 10, checksum(header));
    } else {
      writer_.patch_u16(ip_->offset + 4, static_cast<std::uint16_t>(length));
    }
  }
  return writer_.size();
}

void PacketBuilder::finish_transport(const Ip& ip, std::size_t length) {
  const auto message = writer_.written().subspan(ip.payload_offset);
  if (ip.protocol == kProtocolUdp) {
    writer_.patch_u16(ip.payload_offset + 4, static_cast<std::uint16_t>(length));
    const std::uint16_t sum = checksum(ip.src, ip.dst, kProtocolUdp, message);
    writer_.patch_u16(ip.payload_offset + 6, sum == 0 ? 0xFFFF : sum);  // 0 would mean "none" (RFC 768)
  } else if (ip.protocol == kProtocolIcmpv6) {
    writer_.patch_u16(ip.payload_offset + 2, checksum(ip.src, ip.dst, kProtocolIcmpv6, message));
  } else if (ip.protocol == kProtocolIcmp) {
    writer_.patch_u16(ip.payload_offset + 2, checksum(message));
  }
}

}  // namespace berth::dataplane::slowpath
