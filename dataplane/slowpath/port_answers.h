// What the slow path answers for one function's port, as the gateway of the VM's subnets: ARP, IPv6
// neighbour and router discovery, DHCPv4, DHCPv6, and ping of the gateway. Plain values: the eSwitch
// engine holds them beside its rules and knows no VPC.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace berth::dataplane {

// One address of the VM and the subnet that it lies in.
struct VmAddress {
  IpAddress ip;
  IpPrefix subnet;
  IpAddress gateway;  // of the same family; answered for by this host
  auto operator<=>(const VmAddress&) const = default;
};

// A route that the VM is told of beside its default route: DHCPv4 option 121, RFC 4191 in router
// advertisements.
struct AnnouncedRoute {
  IpPrefix prefix;
  auto operator<=>(const AnnouncedRoute&) const = default;  // always by way of the gateway
};

struct PortAnswers {
  MacAddress vm_mac;
  // The gateway's, the same on every host: a VM that moves keeps its neighbour entries.
  MacAddress gateway_mac;
  std::vector<VmAddress> addresses;  // at most one of each family
  std::uint32_t mtu_bytes = 1450;    // of an IP packet; DHCP option 26, and the MTU option of advertisements
  std::vector<IpAddress> dns_servers;
  std::string domain;    // DHCP option 15, search list; empty: none
  std::string hostname;  // DHCP option 12; empty: none
  std::vector<AnnouncedRoute> routes;
  std::chrono::seconds lease{86400};
  auto operator<=>(const PortAnswers&) const = default;
};

}  // namespace berth::dataplane
