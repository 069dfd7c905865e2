// PortAnswers, checked, and in the form that the protocols ask for it. Made once, when answers are set, so
// that no frame can meet a value that does not fit the wire.
#pragma once

#include "base/error.h"
#include "dataplane/slowpath/packet.h"
#include "dataplane/slowpath/port_answers.h"

#include <optional>

namespace berth::dataplane::slowpath {

// Per family. More would not fit the 576 bytes that every DHCPv4 client takes.
inline constexpr std::size_t kMaxDnsServers = 4;
inline constexpr std::size_t kMaxRoutes = 16;

struct PortFacts {
  PortAnswers answers;
  std::optional<VmAddress> v4;
  std::optional<VmAddress> v6;
  IpAddress gateway_link_local;  // RFC 4291: EUI-64 of the gateway's MAC

  const MacAddress& vm_mac() const { return answers.vm_mac; }
  const MacAddress& gateway_mac() const { return answers.gateway_mac; }
  std::uint32_t lease_seconds() const { return static_cast<std::uint32_t>(answers.lease.count()); }

  // A source that the VM may send IPv6 from: its address, or a link-local one that is not the gateway's.
  // Which link-local address a guest makes up (EUI-64, RFC 7217) is its own business.
  bool is_vm_ipv6(const IpAddress& ip) const;
  // A frame for the gateway's MAC or for a group (broadcast included).
  bool reaches_gateway(const MacAddress& dst) const { return dst == gateway_mac() || dst.is_multicast(); }
};

// INVALID_ARGUMENT, reason: MAC_UNUSABLE, ADDRESS_MISSING, ADDRESS_AMBIGUOUS (two of a family),
// ADDRESS_UNUSABLE, ADDRESS_OUTSIDE_SUBNET, MTU_OUT_OF_RANGE (576, with IPv6 1280, to 9216),
// TOO_MANY_DNS_SERVERS, DOMAIN_MALFORMED, HOSTNAME_MALFORMED, TOO_MANY_ROUTES, LEASE_OUT_OF_RANGE (60 s to a
// year).
Result<PortFacts> derive_port_facts(PortAnswers answers);

}  // namespace berth::dataplane::slowpath
