// From VPC state to rules. Pure: same input, same rules, in a fixed order; no two rules of one host
// have the same key.
//
// Rules come in scopes, so that a change recompiles only what it touches:
//   compile_host      once: the wire's entry, and the drop for VNIs that nobody here has
//   compile_vpc       per known VPC: its VNI from the wire, its policy, mappings and routes
//   compile_policy_set  per set of policy groups that a VM here has: the VPC's policy and theirs, as one
//   compile_closed    per leased function, before anything else and until the very end: default drop
//   compile_port      per attached VM: what it may send
//   compile_delivery  per attached VM: everything that leads to it
// The rules of a VM are few, however large its VPC is.
#pragma once

#include "dataplane/rule.h"
#include "dataplane/slowpath/port_answers.h"
#include "dataplane/vpc.h"

#include <map>
#include <span>
#include <vector>

namespace berth::dataplane {

// This host's end of every tunnel, and the Ethernet address of the next hop towards each remote
// tunnel endpoint. Mappings behind an endpoint without next hop get no rule: their packets are
// counted as unroutable until it is known. IPv4 or IPv6, as `vtep` is.
struct Underlay {
  IpAddress vtep;
  MacAddress mac;
  std::map<IpAddress, MacAddress> next_hops;
  auto operator<=>(const Underlay&) const = default;
};

// Bits per second; 0: no limit.
struct Rates {
  std::uint64_t from_vm = 0;
  std::uint64_t to_vm = 0;
  auto operator<=>(const Rates&) const = default;
};

// A VM that is attached to a VPC on this host.
struct LocalEndpoint {
  EswitchPort port;
  std::vector<IpAddress> ips;  // one or two: at most one of each family
  MacAddress mac;
  Rates rates;
  PolicySet policy = {};
  auto operator<=>(const LocalEndpoint&) const = default;
};

// `peers` are those of peers_of(vpc, all VPCs).
using Peers = std::vector<std::shared_ptr<const Vpc>>;

std::vector<Rule> compile_host(const Underlay& underlay);
std::vector<Rule> compile_vpc(const Vpc& vpc, const Peers& peers, const Underlay& underlay);
// A set that has no number has no rules of its own. When the VPC lacks one of the groups nothing passes.
std::vector<Rule> compile_policy_set(const Vpc& vpc, const PolicySet& set);
std::vector<Rule> compile_closed(EswitchPort port);
std::vector<Rule> compile_port(const Vpc& vpc, const LocalEndpoint& self);
std::vector<Rule> compile_delivery(const Vpc& vpc, const Peers& peers, const LocalEndpoint& self);

// `mtu_bytes` of the VM's IP packets.
PortAnswers compile_answers(const Vpc& vpc, const LocalEndpoint& self, std::uint32_t mtu_bytes);

// The masks that together match exactly the numbers first..last (at most 30).
std::vector<PortMask> expand_port_range(PortRange range);

}  // namespace berth::dataplane
