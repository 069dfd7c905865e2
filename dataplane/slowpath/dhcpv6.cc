#include "dataplane/slowpath/dhcpv6.h"

#include "dataplane/slowpath/dhcpv6_message.h"
#include "dataplane/slowpath/dns_name.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>

namespace berth::dataplane::slowpath {
namespace {

// Section 21.13.
enum class Status : std::uint16_t { kSuccess = 0, kNoAddrsAvail = 2, kNotOnLink = 4, kNoPrefixAvail = 6 };

constexpr std::size_t kAddressOptionBytes = 24;
constexpr std::uint8_t kHighestPreference = 255;  // a client waits for no other server

// Section 7.1: All_DHCP_Relay_Agents_and_Servers, ff02::1:2. Unicast is never offered, so never right.
IpAddress all_servers() {
  return IpAddress::v6({0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0x02});
}

// Section 11.4: DUID-LL.
struct ServerId {
  explicit ServerId(const MacAddress& mac) : bytes{0, 3, 0, 1} {
    std::ranges::copy(mac.bytes, bytes.begin() + 4);
  }
  std::array<std::uint8_t, 10> bytes;
};

class Reply {
 public:
  Reply(const Dhcpv6Message& request, const IpAddress& client, const PortFacts& port,
        std::span<std::uint8_t> buffer)
      : request_(request), port_(port), packet_(buffer), body_(packet_.body()) {
    packet_.ethernet(port.vm_mac(), port.gateway_mac(), kEtherTypeIpv6);
    packet_.ip(port.gateway_link_local, client, kProtocolUdp);
    packet_.udp(kDhcpv6ServerPort, kDhcpv6ClientPort);
  }

  void begin(std::uint8_t type) {
    body_.u32(static_cast<std::uint32_t>(type) << 24 | request_.transaction);
    option(dhcpv6_option::kServerId, ServerId(port_.gateway_mac()).bytes);
    if (!request_.client_id.empty()) option(dhcpv6_option::kClientId, request_.client_id);
  }

  void flag(std::uint16_t code) { option(code, {}); }
  void preference() { option(dhcpv6_option::kPreference, {&kHighestPreference, 1}); }

  void status(Status status) {
    body_.u16(dhcpv6_option::kStatusCode);
    body_.u16(2);  // no text
    body_.u16(static_cast<std::uint16_t>(status));
  }

  void associations() {
    bool has_given = false;
    for (const IdentityAssociation& association : request_.asked_for()) {
      const bool gets_it = association.kind == dhcpv6_option::kIaNa && !has_given;
      has_given = has_given || gets_it;
      write_association(association, gets_it);
    }
  }

  void parameters() {
    const auto servers = std::ranges::count(port_.answers.dns_servers, IpFamily::kV6, &IpAddress::family);
    if (servers != 0) {
      body_.u16(dhcpv6_option::kDnsServers);
      body_.u16(static_cast<std::uint16_t>(16 * servers));
      for (const IpAddress& server : port_.answers.dns_servers) {
        if (!server.is_v4()) body_.ip(server);
      }
    }
    if (!port_.answers.domain.empty()) {
      body_.u16(dhcpv6_option::kDomainList);
      body_.u16(static_cast<std::uint16_t>(dns_name_wire_size(port_.answers.domain)));
      write_dns_name(body_, port_.answers.domain);
    }
  }

  Answer finish() { return Answer::of(Outcome::kDhcpv6, packet_.finish()); }

 private:
  void write_association(const IdentityAssociation& association, bool gets_address) {
    body_.u16(association.kind);
    const std::size_t length_at = body_.size();
    body_.u16(0);  // length: later
    body_.u32(association.id);
    if (association.kind != dhcpv6_option::kIaTa) {
      body_.u32(gets_address ? port_.lease_seconds() / 2 : 0);
      body_.u32(gets_address ? port_.lease_seconds() / 5 * 4 : 0);
    }
    if (gets_address) {
      write_address(port_.v6->ip, port_.lease_seconds());
    } else {
      status(association.kind == dhcpv6_option::kIaPd ? Status::kNoPrefixAvail : Status::kNoAddrsAvail);
    }
    // What the client must not use (any longer); only useful to one that already does.
    if (request_.type == dhcpv6_type::kRenew || request_.type == dhcpv6_type::kRebind) {
      for (const IpAddress& held : association.held()) {
        if (!gets_address || held != port_.v6->ip) write_address(held, 0);
      }
    }
    body_.patch_u16(length_at, static_cast<std::uint16_t>(body_.size() - length_at - 2));
  }

  void write_address(const IpAddress& ip, std::uint32_t lifetime_seconds) {
    body_.u16(dhcpv6_option::kIaAddress);
    body_.u16(kAddressOptionBytes);
    body_.ip(ip);
    body_.u32(lifetime_seconds);  // preferred
    body_.u32(lifetime_seconds);  // valid
  }

  void option(std::uint16_t code, std::span<const std::uint8_t> value) {
    body_.u16(code);
    body_.u16(static_cast<std::uint16_t>(value.size()));
    body_.bytes(value);
  }

  const Dhcpv6Message& request_;
  const PortFacts& port_;
  PacketBuilder packet_;
  WireWriter& body_;
};

// Section 18.3.3: silence when the client names no address. Of addresses that are in the subnet, but not the
// VM's, it is told at once.
Answer answer_confirm(const Dhcpv6Message& message, const PortFacts& port, Reply& reply) {
  bool has_any = false;
  bool is_right = true;
  for (const IdentityAssociation& association : message.asked_for()) {
    for (const IpAddress& held : association.held()) {
      has_any = true;
      is_right = is_right && held == port.v6->ip;
    }
  }
  if (!has_any) return Answer::silent(Outcome::kMalformed);
  reply.begin(dhcpv6_type::kReply);
  reply.status(is_right ? Status::kSuccess : Status::kNotOnLink);
  return reply.finish();
}

// Section 16: which identifiers a message must and must not have. Nothing: it has them.
std::optional<Outcome> fault_of(const Dhcpv6Message& message, const PortFacts& port) {
  const bool is_ours = std::ranges::equal(message.server_id, ServerId(port.gateway_mac()).bytes);
  switch (message.type) {
    case dhcpv6_type::kSolicit:
    case dhcpv6_type::kConfirm:
    case dhcpv6_type::kRebind:
      if (message.client_id.empty() || !message.server_id.empty()) return Outcome::kMalformed;
      return std::nullopt;
    case dhcpv6_type::kRequest:
    case dhcpv6_type::kRenew:
    case dhcpv6_type::kRelease:
    case dhcpv6_type::kDecline:
      if (message.client_id.empty() || message.server_id.empty()) return Outcome::kMalformed;
      if (!is_ours) return Outcome::kOtherServer;
      return std::nullopt;
    case dhcpv6_type::kInformationRequest:
      if (message.association_count != 0) return Outcome::kMalformed;
      if (!message.server_id.empty() && !is_ours) return Outcome::kOtherServer;
      return std::nullopt;
    case dhcpv6_type::kAdvertise:
    case dhcpv6_type::kReply:
    case dhcpv6_type::kReconfigure:
      return Outcome::kSpoofed;
    default:
      return Outcome::kUnsupported;
  }
}

Answer answer_message(const Dhcpv6Message& message, const IpAddress& client, const PortFacts& port,
                      std::span<std::uint8_t> buffer) {
  Reply reply(message, client, port, buffer);
  switch (message.type) {
    case dhcpv6_type::kConfirm:
      return answer_confirm(message, port, reply);
    case dhcpv6_type::kRelease:
    case dhcpv6_type::kDecline:
      reply.begin(dhcpv6_type::kReply);
      reply.status(Status::kSuccess);
      return reply.finish();
    case dhcpv6_type::kSolicit:
      reply.begin(message.wants_rapid_commit ? dhcpv6_type::kReply : dhcpv6_type::kAdvertise);
      message.wants_rapid_commit ? reply.flag(dhcpv6_option::kRapidCommit) : reply.preference();
      break;
    default:
      reply.begin(dhcpv6_type::kReply);
      break;
  }
  reply.associations();
  reply.parameters();
  return reply.finish();
}

}  // namespace

Answer answer_dhcpv6(const Frame& frame, const IpPacket& packet, const UdpDatagram& datagram,
                     const PortFacts& port, std::span<std::uint8_t> reply) {
  if (datagram.src_port == kDhcpv6ServerPort) return Answer::silent(Outcome::kSpoofed);
  if (datagram.src_port != kDhcpv6ClientPort || datagram.dst_port != kDhcpv6ServerPort || !port.v6 ||
      !port.reaches_gateway(frame.dst) || packet.dst != all_servers()) {
    return Answer::silent(Outcome::kNotForUs);
  }
  if (!is_link_local(packet.src) || !port.is_vm_ipv6(packet.src)) return Answer::silent(Outcome::kSpoofed);
  const Bytes payload = datagram.payload;
  const bool is_relayed = !payload.empty() && (payload[0] == dhcpv6_type::kRelayForward ||
                                               payload[0] == dhcpv6_type::kRelayReply);
  if (is_relayed) return Answer::silent(Outcome::kUnsupported);
  const auto message = read_dhcpv6(payload);
  if (!message) return Answer::silent(Outcome::kMalformed);
  if (const auto fault = fault_of(*message, port)) return Answer::silent(*fault);
  return answer_message(*message, packet.src, port, reply);
}

}  // namespace berth::dataplane::slowpath
