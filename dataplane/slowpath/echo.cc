#include "dataplane/slowpath/echo.h"

#include "dataplane/slowpath/checksum.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kEchoRequestV4 = 8;
constexpr std::uint8_t kEchoReplyV4 = 0;
constexpr std::uint8_t kEchoRequestV6 = 128;
constexpr std::uint8_t kEchoReplyV6 = 129;
constexpr std::size_t kEchoHeaderBytes = 8;

struct EchoKinds {
  std::uint8_t request;
  std::uint8_t reply;
};

// Identifier, sequence number and data come back as they are.
Answer reply_to(const IpPacket& packet, EchoKinds kinds, const PortFacts& port,
                std::span<std::uint8_t> reply) {
  if (packet.payload.size() < kEchoHeaderBytes) return Answer::silent(Outcome::kMalformed);
  if (packet.payload[0] != kinds.request || packet.payload[1] != 0) return Answer::silent(Outcome::kNotForUs);
  PacketBuilder answer(reply);
  answer.ethernet(port.vm_mac(), port.gateway_mac(), packet.src.is_v4() ? kEtherTypeIpv4 : kEtherTypeIpv6);
  answer.ip(packet.dst, packet.src, packet.protocol);
  answer.body().u8(kinds.reply);
  answer.body().zeros(3);  // code, checksum
  answer.body().bytes(packet.payload.subspan(4));
  return Answer::of(Outcome::kEcho, answer.finish());
}

}  // namespace

Answer answer_echo_v4(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                      std::span<std::uint8_t> reply) {
  if (!port.v4 || packet.src != port.v4->ip) return Answer::silent(Outcome::kSpoofed);
  if (packet.dst != port.v4->gateway || frame.dst != port.gateway_mac())
    return Answer::silent(Outcome::kNotForUs);
  if (packet.is_fragment) return Answer::silent(Outcome::kUnsupported);
  if (checksum(packet.payload) != 0) return Answer::silent(Outcome::kMalformed);
  return reply_to(packet, {kEchoRequestV4, kEchoReplyV4}, port, reply);
}

Answer answer_echo_v6(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                      std::span<std::uint8_t> reply) {
  if (!port.is_vm_ipv6(packet.src)) return Answer::silent(Outcome::kSpoofed);
  const bool is_gateway =
      packet.dst == port.gateway_link_local || (port.v6 && packet.dst == port.v6->gateway);
  if (!is_gateway || frame.dst != port.gateway_mac()) return Answer::silent(Outcome::kNotForUs);
  return reply_to(packet, {kEchoRequestV6, kEchoReplyV6}, port, reply);
}

}  // namespace berth::dataplane::slowpath
