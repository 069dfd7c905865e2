// Builds one frame from the outside in. Lengths and checksums are filled in by finish(), when all is known.
//
//   PacketBuilder reply(buffer);
//   reply.ethernet(vm, gateway, kEtherTypeIpv6);
//   reply.ipv6(gateway_ip, vm_ip, kProtocolIcmpv6, 255);
//   reply.body().u8(136); ...
//   return reply.finish();
#pragma once

#include "dataplane/slowpath/wire_writer.h"

#include <cstdint>
#include <optional>
#include <span>

namespace berth::dataplane::slowpath {

inline constexpr std::uint8_t kHopLimit = 64;

class PacketBuilder {
 public:
  // LIFETIME: borrows `buffer`.
  explicit PacketBuilder(std::span<std::uint8_t> buffer) : writer_(buffer) {}

  void ethernet(const MacAddress& dst, const MacAddress& src, std::uint16_t ether_type);
  // The family decides the header. Protocols UDP, ICMP and ICMPv6 get their checksum.
  void ip(const IpAddress& src, const IpAddress& dst, std::uint8_t protocol,
          std::uint8_t hop_limit = kHopLimit);
  void udp(std::uint16_t src_port, std::uint16_t dst_port);
  WireWriter& body() { return writer_; }

  // The frame's size in bytes; 0 when it did not fit the buffer. Call once.
  std::size_t finish();

 private:
  struct Ip {
    std::size_t offset;
    std::size_t payload_offset;
    IpAddress src;
    IpAddress dst;
    std::uint8_t protocol;
  };
  void finish_transport(const Ip& ip, std::size_t length);

  WireWriter writer_;
  std::optional<Ip> ip_;
};

}  // namespace berth::dataplane::slowpath
