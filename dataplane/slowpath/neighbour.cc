#include "dataplane/slowpath/neighbour.h"

#include "dataplane/slowpath/nd_option.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/slowpath/router_advertisement.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>
#include <array>
#include <optional>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kFlagRouter = 0x80;
constexpr std::uint8_t kFlagSolicited = 0x40;
constexpr std::uint8_t kFlagOverride = 0x20;

// What both kinds of solicitation, and the advertisement, have in common.
struct Message {
  IpAddress target;                      // none in a router solicitation
  std::optional<MacAddress> source_mac;  // option 1
};

// None: malformed. Options that are not ours are skipped, as RFC 4861 asks.
std::optional<Message> read_message(Bytes payload, bool has_target) {
  WireReader reader(payload);
  reader.skip(4);  // type, code, checksum
  reader.skip(4);  // reserved
  Message message;
  if (has_target) message.target = reader.ipv6();
  while (reader.is_intact() && !reader.is_empty()) {
    const std::uint8_t kind = reader.u8();
    const std::size_t units = reader.u8();
    if (units == 0) return std::nullopt;
    WireReader option(reader.bytes(8 * units - 2));
    if (kind == nd_option::kSourceLinkLayer) message.source_mac = option.mac();
  }
  if (!reader.is_intact()) return std::nullopt;
  return message;
}

// The group of the target's solicitations: ff02::1:ff00:0 and its last three bytes (RFC 4291 section 2.7.1).
bool is_solicited_node_of(const IpAddress& group, const IpAddress& target) {
  static constexpr std::array<std::uint8_t, 13> kPrefix{0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF};
  return std::ranges::equal(group.bytes().first(13), kPrefix) &&
         std::ranges::equal(group.bytes().subspan(13), target.bytes().subspan(13));
}

bool is_gateway(const PortFacts& port, const IpAddress& target) {
  return target == port.gateway_link_local || (port.v6 && target == port.v6->gateway);
}

// Addresses for which the gateway answers as a proxy. ::/8 has the unspecified and the loopback address, and
// the embedded IPv4 ones.
bool is_proxied(const PortFacts& port, const IpAddress& target) {
  return port.v6 && !target.is_multicast() && !is_link_local(target) && target.bytes()[0] != 0;
}

Answer answer_solicitation(const IpPacket& packet, const PortFacts& port, std::span<std::uint8_t> reply) {
  const auto message = read_message(packet.payload, true);
  const bool is_detection = packet.src.is_unspecified();
  if (!message || message->target.is_multicast()) return Answer::silent(Outcome::kMalformed);
  if (is_detection && (message->source_mac || !is_solicited_node_of(packet.dst, message->target)))
    return Answer::silent(Outcome::kMalformed);
  if (!is_detection && !port.is_vm_ipv6(packet.src)) return Answer::silent(Outcome::kSpoofed);
  if (message->source_mac && message->source_mac != port.vm_mac()) return Answer::silent(Outcome::kSpoofed);

  const IpAddress& target = message->target;
  const bool is_for_gateway = is_gateway(port, target);
  if (!is_for_gateway) {
    if (port.is_vm_ipv6(target)) return Answer::silent(Outcome::kOwnAddress);  // any link-local one, too
    if (!is_proxied(port, target)) return Answer::silent(Outcome::kNotForUs);
  }

  PacketBuilder answer(reply);
  answer.ethernet(is_detection ? kAllNodesMac : port.vm_mac(), port.gateway_mac(), kEtherTypeIpv6);
  answer.ip(is_for_gateway ? target : port.gateway_link_local, is_detection ? all_nodes() : packet.src,
            kProtocolIcmpv6, kNdHopLimit);
  answer.body().u8(nd_type::kNeighbourAdvertisement);
  answer.body().zeros(3);  // code, checksum
  const int flags = (is_for_gateway ? kFlagRouter | kFlagOverride : 0) | (is_detection ? 0 : kFlagSolicited);
  answer.body().u8(static_cast<std::uint8_t>(flags));
  answer.body().zeros(3);
  answer.body().ip(target);
  answer.body().u8(nd_option::kTargetLinkLayer);
  answer.body().u8(1);
  answer.body().mac(port.gateway_mac());
  return Answer::of(Outcome::kNeighbour, answer.finish());
}

Answer answer_router_solicitation(const IpPacket& packet, const PortFacts& port,
                                  std::span<std::uint8_t> reply) {
  const auto message = read_message(packet.payload, false);
  const bool is_nameless = packet.src.is_unspecified();
  if (!message || (is_nameless && message->source_mac)) return Answer::silent(Outcome::kMalformed);
  if ((!is_nameless && !port.is_vm_ipv6(packet.src)) ||
      (message->source_mac && message->source_mac != port.vm_mac())) {
    return Answer::silent(Outcome::kSpoofed);
  }
  if (!port.v6) return Answer::silent(Outcome::kNotForUs);
  return is_nameless ? advertise_router(port, kAllNodesMac, all_nodes(), reply)
                     : advertise_router(port, port.vm_mac(), packet.src, reply);
}

Answer judge_advertisement(const IpPacket& packet, const PortFacts& port) {
  const auto message = read_message(packet.payload, true);
  if (!message) return Answer::silent(Outcome::kMalformed);
  const bool is_own = port.is_vm_ipv6(packet.src) && port.is_vm_ipv6(message->target);
  return Answer::silent(is_own ? Outcome::kOwnAddress : Outcome::kSpoofed);
}

}  // namespace

Answer answer_neighbour(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                        std::span<std::uint8_t> reply) {
  const std::uint8_t type = packet.payload[0];
  if (type == nd_type::kRouterAdvertisement || type == nd_type::kRedirect)
    return Answer::silent(Outcome::kSpoofed);
  if (packet.hop_limit != kNdHopLimit || packet.payload[1] != 0) return Answer::silent(Outcome::kMalformed);
  if (!port.reaches_gateway(frame.dst)) return Answer::silent(Outcome::kNotForUs);
  if (type == nd_type::kNeighbourAdvertisement) return judge_advertisement(packet, port);
  if (type == nd_type::kNeighbourSolicitation) return answer_solicitation(packet, port, reply);
  return answer_router_solicitation(packet, port, reply);
}

}  // namespace berth::dataplane::slowpath
