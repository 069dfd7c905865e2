#include "dataplane/slowpath/arp.h"

#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <optional>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint16_t kRequest = 1;
constexpr std::uint16_t kReply = 2;

struct ArpMessage {
  std::uint16_t operation;
  MacAddress sender_mac;
  IpAddress sender_ip;
  IpAddress target_ip;
};

std::optional<ArpMessage> read_arp(Bytes bytes) {
  WireReader reader(bytes);
  const bool is_ethernet = reader.u16() == kHardwareEthernet;
  const bool is_ipv4 = reader.u16() == kEtherTypeIpv4;
  const bool has_sizes = reader.u16() == 0x0604;
  ArpMessage message{};
  message.operation = reader.u16();
  message.sender_mac = reader.mac();
  message.sender_ip = reader.ipv4();
  reader.skip(6);  // target MAC: what is asked for
  message.target_ip = reader.ipv4();
  if (!reader.is_intact() || !is_ethernet || !is_ipv4 || !has_sizes) return std::nullopt;
  return message;
}

// Addresses that a host can have: not 0/8, 127/8, multicast, class E, broadcast.
bool is_host_address(const IpAddress& ip) {
  const std::uint8_t first = ip.bytes()[0];
  return first != 0 && first != 127 && first < 224;
}

}  // namespace

Answer answer_arp(const Frame& frame, const PortFacts& port, std::span<std::uint8_t> reply) {
  const auto message = read_arp(frame.payload);
  if (!message) return Answer::silent(Outcome::kMalformed);
  if (message->operation != kRequest && message->operation != kReply)
    return Answer::silent(Outcome::kNotForUs);

  const bool is_probe = message->operation == kRequest && message->sender_ip.is_unspecified();
  const bool is_own_ip = port.v4 && message->sender_ip == port.v4->ip;
  if (message->sender_mac != port.vm_mac() || (!is_probe && !is_own_ip))
    return Answer::silent(Outcome::kSpoofed);
  if (!port.v4) return Answer::silent(Outcome::kNotForUs);
  if (message->target_ip == port.v4->ip) return Answer::silent(Outcome::kOwnAddress);
  // A reply answers nobody: the gateway never asks.
  if (message->operation == kReply) return Answer::silent(Outcome::kNotForUs);
  const bool is_host =
      is_host_address(message->target_ip) &&
      (port.v4->subnet.length() > 30 || message->target_ip != port.v4->subnet.last_address());
  if (!is_host || !port.reaches_gateway(frame.dst)) return Answer::silent(Outcome::kNotForUs);

  PacketBuilder answer(reply);
  answer.ethernet(port.vm_mac(), port.gateway_mac(), kEtherTypeArp);
  answer.body().u16(kHardwareEthernet);
  answer.body().u16(kEtherTypeIpv4);
  answer.body().u16(0x0604);  // sizes of MAC and IP
  answer.body().u16(kReply);
  answer.body().mac(port.gateway_mac());
  answer.body().ip(message->target_ip);
  answer.body().mac(port.vm_mac());
  answer.body().ip(message->sender_ip);
  return Answer::of(Outcome::kArp, answer.finish());
}

}  // namespace berth::dataplane::slowpath
