// Router advertisements (RFC 4861 section 4.2) of an L3 VPC: addresses by DHCPv6, nothing on-link but the
// gateway, everything else by way of it.
#pragma once

#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_facts.h"

#include <chrono>
#include <span>

namespace berth::dataplane::slowpath {

// A host keeps the gateway for this long. It asks once, when its link comes up, and never again: somebody has
// to advertise unasked before the time is over (RFC 4861 section 6.2.1: three times as often).
inline constexpr std::chrono::seconds kRouterLifetime{1800};
inline constexpr std::chrono::seconds kAdvertisementInterval{600};

// Flags M and O (RFC 4861): addresses and the rest by DHCPv6. The subnet's prefix is neither on-link nor for
// autonomous configuration. With MTU, the gateway's MAC, DNS servers and search list (RFC 8106) and routes
// (RFC 4191). Only for ports with IPv6.
Answer advertise_router(const PortFacts& port, const MacAddress& dst_mac, const IpAddress& dst,
                        std::span<std::uint8_t> reply);

}  // namespace berth::dataplane::slowpath
