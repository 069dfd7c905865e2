#include "dataplane/slowpath/responder.h"

#include "dataplane/slowpath/arp.h"
#include "dataplane/slowpath/checksum.h"
#include "dataplane/slowpath/dhcpv4.h"
#include "dataplane/slowpath/dhcpv6.h"
#include "dataplane/slowpath/echo.h"
#include "dataplane/slowpath/nd_option.h"
#include "dataplane/slowpath/neighbour.h"
#include "dataplane/slowpath/router_advertisement.h"
#include "dataplane/slowpath/too_big.h"
#include "dataplane/wire_numbers.h"

#include <utility>

#include <fmt/format.h>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::size_t kMinIcmpBytes = 4;

Answer answer_ipv4(const Frame& frame, const PortFacts& port, std::span<std::uint8_t> reply) {
  const auto packet = read_ipv4(frame.payload);
  if (!packet) return Answer::silent(Outcome::kMalformed);
  if (packet->protocol == kProtocolIcmp) return answer_echo_v4(frame, *packet, port, reply);
  if (packet->protocol != kProtocolUdp) return Answer::silent(Outcome::kNotForUs);
  if (packet->is_fragment) return Answer::silent(Outcome::kUnsupported);
  const auto datagram = read_udp(*packet);
  if (!datagram) return Answer::silent(Outcome::kMalformed);
  return answer_dhcpv4(frame, *packet, *datagram, port, reply);
}

Answer answer_icmpv6(const Frame& frame, const IpPacket& packet, const PortFacts& port,
                     std::span<std::uint8_t> reply) {
  if (packet.payload.size() < kMinIcmpBytes ||
      checksum(packet.src, packet.dst, kProtocolIcmpv6, packet.payload) != 0) {
    return Answer::silent(Outcome::kMalformed);
  }
  const std::uint8_t type = packet.payload[0];
  const bool is_discovery = type >= nd_type::kRouterSolicitation && type <= nd_type::kRedirect;
  return is_discovery ? answer_neighbour(frame, packet, port, reply)
                      : answer_echo_v6(frame, packet, port, reply);
}

Answer answer_ipv6(const Frame& frame, const PortFacts& port, std::span<std::uint8_t> reply) {
  constexpr std::uint8_t kFragmentHeader = 44;
  const auto packet = read_ipv6(frame.payload);
  if (!packet) return Answer::silent(Outcome::kMalformed);
  if (packet->protocol == kProtocolIcmpv6) return answer_icmpv6(frame, *packet, port, reply);
  if (packet->protocol == kFragmentHeader) return Answer::silent(Outcome::kUnsupported);
  if (packet->protocol != kProtocolUdp) return Answer::silent(Outcome::kNotForUs);
  const auto datagram = read_udp(*packet);
  if (!datagram) return Answer::silent(Outcome::kMalformed);
  return answer_dhcpv6(frame, *packet, *datagram, port, reply);
}

Answer answer_frame(Bytes bytes, const PortFacts& port, std::span<std::uint8_t> reply) {
  const auto frame = read_frame(bytes);
  if (!frame) return Answer::silent(Outcome::kMalformed);
  if (is_vlan_type(frame->ether_type)) return Answer::silent(Outcome::kVlanTagged);
  if (frame->src != port.vm_mac()) return Answer::silent(Outcome::kSpoofed);
  switch (frame->ether_type) {
    case kEtherTypeArp:
      return answer_arp(*frame, port, reply);
    case kEtherTypeIpv4:
      return answer_ipv4(*frame, port, reply);
    case kEtherTypeIpv6:
      return answer_ipv6(*frame, port, reply);
    default:
      return Answer::silent(Outcome::kNotForUs);
  }
}

}  // namespace

Responder::Responder(std::size_t port_count, ResponderLimits limits)
    : limits_(limits),
      ports_(port_count, Port{.facts = std::nullopt,
                              .frames = TokenBucket(limits.frames, Time()),
                              .errors = TokenBucket(limits.errors, Time()),
                              .next_advertisement = Time(),
                              .counters = {}}) {}

Result<void> Responder::set_answers(EswitchPort port, std::optional<PortAnswers> answers, Time now) {
  Port* const found = find(port);
  if (found == nullptr) return fail(Code::kNotFound, "PORT_UNKNOWN", fmt::format("no port {}", port));
  if (!answers) {
    found->facts.reset();
    return {};
  }
  if (port.is_uplink())
    return fail_field("port", "PORT_IS_UPLINK", "a gateway answers VMs, and the uplink has none");
  if (found->facts && found->facts->answers == *answers) return {};
  auto facts = derive_port_facts(*std::move(answers));
  if (!facts) return pass(facts, fmt::format("answers of port {}", port));
  if (!found->facts) {
    found->counters = {};
    found->frames = TokenBucket(limits_.frames, now);
    found->errors = TokenBucket(limits_.errors, now);
  }
  found->facts = *std::move(facts);
  found->next_advertisement = now;
  return {};
}

std::optional<PortAnswers> Responder::answers(EswitchPort port) const {
  if (port.number() >= ports_.size() || !ports_[port.number()].facts) return std::nullopt;
  return ports_[port.number()].facts->answers;
}

Answer Responder::answer(EswitchPort port, Bytes frame, Time now, std::span<std::uint8_t> reply) {
  Port* const from = find(port);
  if (from == nullptr) return Answer::silent(Outcome::kNoAnswers);
  if (from->facts && frame.size() > kEthernetBytes + from->facts->answers.mtu_bytes)
    return answer_too_big(port, frame, now, reply);
  const Answer answer = [&] {
    if (!from->facts) return Answer::silent(Outcome::kNoAnswers);
    if (!from->frames.take(now)) return Answer::silent(Outcome::kRateLimited);
    return answer_frame(frame, *from->facts, reply);
  }();
  from->counters.add(answer.outcome);
  return answer;
}

Answer Responder::answer_too_big(EswitchPort port, Bytes frame, Time now, std::span<std::uint8_t> reply) {
  Port* const from = find(port);
  if (from == nullptr) return Answer::silent(Outcome::kNoAnswers);
  const Answer answer = [&] {
    if (!from->facts) return Answer::silent(Outcome::kNoAnswers);
    if (!from->errors.take(now)) return Answer::silent(Outcome::kRateLimited);
    return slowpath::answer_too_big(frame, *from->facts, reply);
  }();
  from->counters.add(answer.outcome);
  return answer;
}

Answer Responder::advertise_if_due(EswitchPort port, Time now, std::span<std::uint8_t> reply) {
  Port* const to = find(port);
  if (to == nullptr || !to->facts || !to->facts->v6 || now < to->next_advertisement)
    return Answer::silent(Outcome::kNotForUs);
  to->next_advertisement = now + kAdvertisementInterval;
  const Answer answer = advertise_router(*to->facts, kAllNodesMac, all_nodes(), reply);
  to->counters.add(answer.outcome);
  return answer;
}

Counters Responder::counters(EswitchPort port) const {
  return port.number() < ports_.size() ? ports_[port.number()].counters : Counters{};
}

}  // namespace berth::dataplane::slowpath
