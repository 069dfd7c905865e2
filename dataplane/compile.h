// From VPC state to rules. Pure: same input, same rules, in a fixed order; no two rules of one host
// have the same key.
//
// Rules come in scopes, so that a change recompiles only what it touches:
//   compile_host      once: the wire's entry, and the drop for VNIs that nobody here has
//   compile_vpc       per VPC with a VM on this host: its VNI from the wire
//   compile_closed    per leased function, before anything else and until the very end: default drop
//   compile_port      per attached VM: admit, egress policy, mappings to other hosts
//   compile_delivery  per attached VM: everything that leads to it, from the wire and from its
//                     neighbours on this host
#pragma once

#include "dataplane/rule.h"
#include "dataplane/vpc.h"

#include <map>
#include <span>
#include <vector>

namespace berth::dataplane {

// This host's end of every tunnel, and the Ethernet address of the next hop towards each remote
// tunnel endpoint. Mappings behind an endpoint without next hop get no rule: their packets are
// counted as unroutable until it is known.
struct Underlay {
  IpAddress vtep;
  MacAddress mac;
  std::map<IpAddress, MacAddress> next_hops;
  auto operator<=>(const Underlay&) const = default;
};

// A VM that is attached to a VPC on this host.
struct LocalEndpoint {
  EswitchPort port;
  IpAddress ip;
  MacAddress mac;
  auto operator<=>(const LocalEndpoint&) const = default;
};

std::vector<Rule> compile_host(const Underlay& underlay);
std::vector<Rule> compile_vpc(const Vpc& vpc, const Underlay& underlay);
std::vector<Rule> compile_closed(EswitchPort port);
std::vector<Rule> compile_port(const Vpc& vpc, const LocalEndpoint& self, const Underlay& underlay);
// `neighbours` are the other VMs of the same VPC on this host.
std::vector<Rule> compile_delivery(const Vpc& vpc, const LocalEndpoint& self,
                                   std::span<const LocalEndpoint> neighbours);

// The masks that together match exactly the numbers first..last (at most 30).
std::vector<PortMask> expand_port_range(PortRange range);

}  // namespace berth::dataplane
