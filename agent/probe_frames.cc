#include "agent/probe_frames.h"

#include "dataplane/pipeline.h"
#include "dataplane/slowpath/checksum.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <span>
#include <string_view>

namespace berth::agent {
namespace {

using dataplane::slowpath::PacketBuilder;

constexpr std::uint8_t kEchoRequest = 8;      // RFC 792
constexpr std::uint8_t kEchoRequestV6 = 128;  // RFC 4443
constexpr std::uint16_t kFromPort = 49152;    // the first of those that nobody owns, RFC 6335
constexpr std::uint16_t kDiscardPort = 9;     // RFC 863
// Should a frame leave the host after all, no router takes it further.
constexpr std::uint8_t kHopLimit = 1;
constexpr std::uint32_t kVxlanHasVni = 0x08000000;  // RFC 7348 section 5
constexpr std::size_t kRoom = 256;
constexpr std::string_view kText = "berth probe: rules are proven, nothing to answer";

std::uint16_t ether_type(const IpAddress& ip) {
  return ip.is_v4() ? dataplane::kEtherTypeIpv4 : dataplane::kEtherTypeIpv6;
}

std::uint16_t tcp_port(Payload payload) {
  if (payload == Payload::kHttps) return 443;
  return payload == Payload::kHttp ? 80 : 22;
}

std::uint8_t protocol_of(Payload payload, IpFamily family) {
  if (payload == Payload::kDiscard) return dataplane::kProtocolUdp;
  if (payload != Payload::kEcho) return dataplane::kProtocolTcp;
  return family == IpFamily::kV4 ? dataplane::kProtocolIcmp : dataplane::kProtocolIcmpv6;
}

// A reset, which opens nothing anywhere.
void write_tcp(PacketBuilder& packet, std::uint16_t port, const IpAddress& src, const IpAddress& dst) {
  const std::size_t begin = packet.body().size();
  packet.body().u16(kFromPort);
  packet.body().u16(port);
  packet.body().zeros(8);     // sequence, acknowledgement
  packet.body().u16(0x5004);  // five words, RST
  packet.body().zeros(6);     // window, checksum, urgent
  packet.body().text(kText);
  const auto sum = dataplane::slowpath::checksum(src, dst, dataplane::kProtocolTcp,
                                                 packet.body().written().subspan(begin));
  packet.body().patch_u16(begin + 16, sum);
}

std::vector<std::uint8_t> build(const MacAddress& to, const MacAddress& from, const IpAddress& src,
                                const IpAddress& dst, Payload payload) {
  std::array<std::uint8_t, kRoom> room{};
  PacketBuilder packet(room);
  packet.ethernet(to, from, ether_type(src));
  packet.ip(src, dst, protocol_of(payload, src.family()), kHopLimit);
  if (payload == Payload::kDiscard) {
    packet.udp(kFromPort, kDiscardPort);
    packet.body().text(kText);
  } else if (payload == Payload::kEcho) {
    packet.body().u8(src.is_v4() ? kEchoRequest : kEchoRequestV6);
    packet.body().zeros(7);  // code, checksum (later), identifier, sequence
    packet.body().text(kText);
  } else {
    write_tcp(packet, tcp_port(payload), src, dst);
  }
  const std::size_t size = packet.finish();
  return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

TestFrame frame_from_vm(const ProbeSubject& subject, const IpAddress& src, const IpAddress& dst,
                        Payload payload) {
  TestFrame made{.frame = {.from = subject.port,
                           .bytes = build(dataplane::kGatewayMac, subject.mac, src, dst, payload)}};
  made.inner_bytes = made.frame.bytes.size();
  return made;
}

TestFrame frame_from_wire(const ProbeSubject& subject, Vni vni, const IpAddress& ip, Payload payload) {
  const auto inner = build(subject.mac, dataplane::kGatewayMac, ip, ip, payload);
  std::array<std::uint8_t, 2 * kRoom> room{};
  PacketBuilder packet(room);
  packet.ethernet(subject.uplink_mac, subject.uplink_mac, ether_type(subject.vtep));
  packet.ip(subject.vtep, subject.vtep, dataplane::kProtocolUdp, kHopLimit);
  packet.udp(kFromPort, dataplane::kVxlanUdpPort);
  packet.body().u32(kVxlanHasVni);
  packet.body().u32(vni.value() << 8);
  packet.body().bytes(inner);
  const std::size_t size = packet.finish();
  TestFrame made{.frame = {.from = dataplane::EswitchPort::uplink(), .bytes = {}},
                 .inner_bytes = inner.size()};
  made.frame.bytes.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  return made;
}

IpAddress spoofed(const IpAddress& ip) {
  if (ip.is_v4()) return IpAddress::v4(ip.v4_host_order() ^ 1U);
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(ip.bytes(), bytes.begin());
  bytes.back() ^= 1U;
  return IpAddress::v6(bytes);
}

}  // namespace berth::agent
