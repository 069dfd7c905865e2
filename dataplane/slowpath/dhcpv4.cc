#include "dataplane/slowpath/dhcpv4.h"

#include "dataplane/slowpath/dhcpv4_message.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <array>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::size_t kFixedBytes = 240;  // up to the magic number, with it
constexpr std::size_t kIpAndUdpBytes = 28;
constexpr std::size_t kMinBootpBytes = 300;  // RFC 1542 section 2.1: some clients drop what is shorter
const IpAddress kEverybody = IpAddress::v4(0xFFFFFFFF);

enum class Contents { kLease, kParameters, kRefusal };

class Reply {
 public:
  Reply(const DhcpMessage& request, const PortFacts& port, std::span<std::uint8_t> buffer)
      : request_(request), port_(port), packet_(buffer), body_(packet_.body()) {}

  std::size_t build(DhcpType type, Contents contents) {
    write_headers(contents);
    write_fixed(contents);
    const std::size_t options_begin = body_.size();
    room_ = request_.max_message_bytes - kIpAndUdpBytes - kFixedBytes - 1;
    option_u8(dhcp_option::kMessageType, static_cast<std::uint8_t>(type));
    option_ip(dhcp_option::kServerId, port_.v4->gateway);
    if (!request_.client_id.empty()) option(dhcp_option::kClientId, request_.client_id);
    if (contents == Contents::kLease) write_lease(type);
    if (contents != Contents::kRefusal) write_parameters();
    body_.u8(dhcp_option::kEnd);
    const std::size_t message_bytes = kFixedBytes + body_.size() - options_begin;
    if (message_bytes < kMinBootpBytes) body_.zeros(kMinBootpBytes - message_bytes);
    return packet_.finish();
  }

 private:
  // RFC 2131 section 4.1: a client that renews has its address; one that has none yet is reached by its MAC,
  // unless it cannot take such packets; a refusal goes to everybody, since the client's idea of its address
  // is wrong.
  void write_headers(Contents contents) {
    const bool is_refusal = contents == Contents::kRefusal;
    const bool has_address = !request_.client_ip.is_unspecified() && !is_refusal;
    const bool is_broadcast = is_refusal || (!has_address && request_.wants_broadcast());
    packet_.ethernet(is_broadcast ? kBroadcastMac : port_.vm_mac(), port_.gateway_mac(), kEtherTypeIpv4);
    packet_.ip(port_.v4->gateway, is_broadcast ? kEverybody : port_.v4->ip, kProtocolUdp);
    packet_.udp(kDhcpServerPort, kDhcpClientPort);
  }

  void write_fixed(Contents contents) {
    body_.u8(kBootReply);
    body_.u8(1);  // Ethernet
    body_.u8(6);
    body_.u8(0);  // hops
    body_.u32(request_.transaction);
    body_.zeros(2);
    body_.u16(request_.flags);
    body_.ip(contents == Contents::kRefusal ? IpAddress() : request_.client_ip);
    body_.ip(contents == Contents::kLease ? port_.v4->ip : IpAddress());
    body_.zeros(8);  // next server, relay
    body_.mac(port_.vm_mac());
    body_.zeros(10 + 64 + 128);
    body_.u32(kDhcpMagic);
  }

  void write_lease(DhcpType type) {
    const std::uint32_t lease = port_.lease_seconds();
    option_u32(dhcp_option::kLeaseTime, lease);
    option_u32(dhcp_option::kRenewalTime, lease / 2);
    option_u32(dhcp_option::kRebindingTime, lease / 8 * 7);
    if (type == DhcpType::kAck && request_.type == DhcpType::kDiscover) option(dhcp_option::kRapidCommit, {});
  }

  // The most needed first.
  void write_parameters() {
    option_ip(dhcp_option::kSubnetMask, port_.v4->subnet.mask());
    write_routes();  // before the router, which it overrides (RFC 3442)
    option_ip(dhcp_option::kRouter, port_.v4->gateway);
    std::array<std::uint8_t, 2> mtu{static_cast<std::uint8_t>(port_.answers.mtu_bytes >> 8),
                                    static_cast<std::uint8_t>(port_.answers.mtu_bytes)};
    option(dhcp_option::kMtu, mtu);
    write_dns_servers();
    option_text(dhcp_option::kDomainName, port_.answers.domain);
    option_text(dhcp_option::kHostName, port_.answers.hostname);
  }

  // RFC 3442: prefix length, as many bytes of the prefix as it covers, router. With any route the default one
  // has to be among them, because the client then ignores the router option.
  void write_routes() {
    std::array<std::uint8_t, 9 * kMaxRoutes + 5> buffer{};
    WireWriter writer(buffer);
    const auto write = [&](const IpPrefix& prefix) {
      writer.u8(prefix.length());
      writer.bytes(prefix.address().bytes().first((prefix.length() + 7U) / 8U));
      writer.ip(port_.v4->gateway);
    };
    for (const AnnouncedRoute& route : port_.answers.routes) {
      if (route.prefix.family() == IpFamily::kV4 && route.prefix.length() != 0) write(route.prefix);
    }
    if (writer.size() == 0) return;
    write(IpPrefix());  // 0.0.0.0/0
    option(dhcp_option::kClasslessRoutes, writer.written());
  }

  void write_dns_servers() {
    std::array<std::uint8_t, 4 * kMaxDnsServers> buffer{};
    WireWriter writer(buffer);
    for (const IpAddress& server : port_.answers.dns_servers) {
      if (server.is_v4()) writer.ip(server);
    }
    if (writer.size() != 0) option(dhcp_option::kDnsServers, writer.written());
  }

  void option(std::uint8_t code, std::span<const std::uint8_t> value) {
    if (value.size() + 2 > room_) return;
    room_ -= value.size() + 2;
    body_.u8(code);
    body_.u8(static_cast<std::uint8_t>(value.size()));
    body_.bytes(value);
  }
  void option_u8(std::uint8_t code, std::uint8_t value) { option(code, {&value, 1}); }
  void option_u32(std::uint8_t code, std::uint32_t value) { option(code, IpAddress::v4(value).bytes()); }
  void option_ip(std::uint8_t code, const IpAddress& ip) { option(code, ip.bytes()); }
  void option_text(std::uint8_t code, std::string_view text) {
    if (!text.empty()) option(code, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }

  const DhcpMessage& request_;
  const PortFacts& port_;
  PacketBuilder packet_;
  WireWriter& body_;
  std::size_t room_ = 0;  // bytes that options may still take
};

// Section 4.3.2, all four client states at once: the address that the client wants is in option 50 before it
// has one, in ciaddr afterwards.
Answer answer_request(const DhcpMessage& message, const PortFacts& port, std::span<std::uint8_t> reply) {
  if (message.server_id && *message.server_id != port.v4->gateway)
    return Answer::silent(Outcome::kOtherServer);
  const bool has_address = !message.client_ip.is_unspecified();
  if (!has_address && !message.requested_ip) return Answer::silent(Outcome::kMalformed);
  const bool is_ours = (!has_address || message.client_ip == port.v4->ip) &&
                       (!message.requested_ip || *message.requested_ip == port.v4->ip);
  Reply answer(message, port, reply);
  return is_ours ? Answer::of(Outcome::kDhcpv4, answer.build(DhcpType::kAck, Contents::kLease))
                 : Answer::of(Outcome::kDhcpv4Refused, answer.build(DhcpType::kNak, Contents::kRefusal));
}

Answer answer_message(const DhcpMessage& message, const PortFacts& port, std::span<std::uint8_t> reply) {
  Reply answer(message, port, reply);
  const bool is_for_other = message.server_id && *message.server_id != port.v4->gateway;
  switch (message.type) {
    case DhcpType::kDiscover:
      return Answer::of(
          Outcome::kDhcpv4,
          answer.build(message.wants_rapid_commit ? DhcpType::kAck : DhcpType::kOffer, Contents::kLease));
    case DhcpType::kRequest:
      return answer_request(message, port, reply);
    case DhcpType::kInform:
      if (message.client_ip != port.v4->ip) return Answer::silent(Outcome::kSpoofed);
      return Answer::of(Outcome::kDhcpv4, answer.build(DhcpType::kAck, Contents::kParameters));
    case DhcpType::kDecline:
      return Answer::silent(is_for_other ? Outcome::kOtherServer : Outcome::kDhcpDecline);
    case DhcpType::kRelease:
      return Answer::silent(is_for_other ? Outcome::kOtherServer : Outcome::kDhcpRelease);
    case DhcpType::kOffer:
    case DhcpType::kAck:
    case DhcpType::kNak:
      return Answer::silent(Outcome::kSpoofed);
  }
  return Answer::silent(Outcome::kUnsupported);  // lease queries and other extensions
}

}  // namespace

Answer answer_dhcpv4(const Frame& frame, const IpPacket& packet, const UdpDatagram& datagram,
                     const PortFacts& port, std::span<std::uint8_t> reply) {
  if (datagram.src_port == kDhcpServerPort) return Answer::silent(Outcome::kSpoofed);
  if (datagram.src_port != kDhcpClientPort || datagram.dst_port != kDhcpServerPort || !port.v4 ||
      !port.reaches_gateway(frame.dst) || (packet.dst != kEverybody && packet.dst != port.v4->gateway)) {
    return Answer::silent(Outcome::kNotForUs);
  }
  const auto message = read_dhcp(datagram.payload);
  if (!message) return Answer::silent(Outcome::kMalformed);
  if (message->op != kBootRequest || message->client_mac != port.vm_mac())
    return Answer::silent(Outcome::kSpoofed);
  // A client that had another address before may still use it while it asks to keep it, and is told.
  if (!packet.src.is_unspecified() && packet.src != port.v4->ip && packet.src != message->client_ip)
    return Answer::silent(Outcome::kSpoofed);
  if (!message->relay_ip.is_unspecified() || message->is_overloaded)
    return Answer::silent(Outcome::kUnsupported);
  return answer_message(*message, port, reply);
}

}  // namespace berth::dataplane::slowpath
