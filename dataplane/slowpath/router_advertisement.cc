#include "dataplane/slowpath/router_advertisement.h"

#include "dataplane/slowpath/dns_name.h"
#include "dataplane/slowpath/nd_option.h"
#include "dataplane/slowpath/packet_builder.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kManagedAndOther = 0xC0;
constexpr auto kLifetimeSeconds = static_cast<std::uint32_t>(kRouterLifetime.count());

void write_prefix(WireWriter& writer, const PortFacts& port) {
  writer.u8(nd_option::kPrefixInformation);
  writer.u8(4);
  writer.u8(port.v6->subnet.length());
  writer.u8(0);                      // flags: not on-link, not autonomous
  writer.u32(port.lease_seconds());  // valid
  writer.u32(port.lease_seconds());  // preferred
  writer.zeros(4);
  writer.ip(port.v6->subnet.address());
}

// The prefix takes 0, 8 or 16 bytes, as many as it needs.
void write_route(WireWriter& writer, const IpPrefix& prefix) {
  const std::size_t units = (prefix.length() + 63U) / 64U;
  writer.u8(nd_option::kRouteInformation);
  writer.u8(static_cast<std::uint8_t>(1 + units));
  writer.u8(prefix.length());
  writer.u8(0);  // medium preference
  writer.u32(kLifetimeSeconds);
  writer.bytes(prefix.address().bytes().first(8 * units));
}

void write_dns_servers(WireWriter& writer, const PortAnswers& answers) {
  const auto count = std::ranges::count(answers.dns_servers, IpFamily::kV6, &IpAddress::family);
  if (count == 0) return;
  writer.u8(nd_option::kDnsServers);
  writer.u8(static_cast<std::uint8_t>(1 + 2 * count));
  writer.zeros(2);
  writer.u32(kLifetimeSeconds);
  for (const IpAddress& server : answers.dns_servers) {
    if (!server.is_v4()) writer.ip(server);
  }
}

void write_search_list(WireWriter& writer, std::string_view domain) {
  if (domain.empty()) return;
  const std::size_t units = (dns_name_wire_size(domain) + 7) / 8;
  writer.u8(nd_option::kDnsSearchList);
  writer.u8(static_cast<std::uint8_t>(1 + units));
  writer.zeros(2);
  writer.u32(kLifetimeSeconds);
  write_dns_name(writer, domain);
  writer.zeros(8 * units - dns_name_wire_size(domain));
}

}  // namespace

Answer advertise_router(const PortFacts& port, const MacAddress& dst_mac, const IpAddress& dst,
                        std::span<std::uint8_t> reply) {
  PacketBuilder answer(reply);
  answer.ethernet(dst_mac, port.gateway_mac(), kEtherTypeIpv6);
  answer.ip(port.gateway_link_local, dst, kProtocolIcmpv6, kNdHopLimit);
  WireWriter& body = answer.body();
  body.u8(nd_type::kRouterAdvertisement);
  body.zeros(3);  // code, checksum
  body.u8(kHopLimit);
  body.u8(kManagedAndOther);
  body.u16(static_cast<std::uint16_t>(kLifetimeSeconds));
  body.zeros(8);  // reachable and retransmission times: the host's own
  body.u8(nd_option::kSourceLinkLayer);
  body.u8(1);
  body.mac(port.gateway_mac());
  body.u8(nd_option::kMtu);
  body.u8(1);
  body.zeros(2);
  body.u32(port.answers.mtu_bytes);
  write_prefix(body, port);
  for (const AnnouncedRoute& route : port.answers.routes) {
    if (route.prefix.family() == IpFamily::kV6) write_route(body, route.prefix);
  }
  write_dns_servers(body, port.answers);
  write_search_list(body, port.answers.domain);
  return Answer::of(Outcome::kRouter, answer.finish());
}

}  // namespace berth::dataplane::slowpath
