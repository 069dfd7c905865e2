#include "dataplane/vpc_check.h"

#include "dataplane/slowpath/port_facts.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::dataplane {
namespace {

class Faults {
 public:
  explicit Faults(const Vpc& vpc) : vpc_(vpc) {}

  void add(const std::string& part, std::string reason, std::string message) {
    const std::string resource =
        part.empty() ? fmt::format("vpc/{}", vpc_.id) : fmt::format("vpc/{}/{}", vpc_.id, part);
    found_.push_back({resource, Error{Code::kInvalidArgument, std::move(message), std::move(reason)}});
  }
  std::vector<ResourceError> take() { return std::move(found_); }

 private:
  const Vpc& vpc_;
  std::vector<ResourceError> found_;
};

void check_limits(const Vpc& vpc, Faults& faults) {
  const auto check = [&](std::string_view what, std::size_t count, std::size_t limit) {
    if (count > limit)
      faults.add("", "LIMIT_EXCEEDED", fmt::format("{} {} given, {} are allowed", count, what, limit));
  };
  check("subnets", vpc.subnets.size(), kMaxSubnetsPerVpc);
  check("mappings", vpc.mappings.size(), kMaxMappingsPerVpc);
  check("policy rules", vpc.policy.size(), kMaxPolicyRulesPerVpc);
  check("routes", vpc.routes.size(), kMaxRoutesPerVpc);
  check("peerings", vpc.peerings.size(), kMaxPeeringsPerVpc);
  for (const Subnet& subnet : vpc.subnets)
    check("host blocks of a subnet", subnet.host_blocks.size(), kMaxHostBlocksPerSubnet);
  check("policy groups", vpc.policy_groups.size(), kMaxPolicyGroupsPerVpc);
  for (const PolicyGroup& group : vpc.policy_groups)
    check("rules of a policy group", group.rules.size(), kMaxRulesPerPolicyGroup);
  for (const Peering& peering : vpc.peerings)
    check("peering prefixes", peering.prefixes.size(), kMaxPrefixesPerPeering);
}

void check_subnets(const Vpc& vpc, Faults& faults) {
  if (vpc.subnets.empty()) faults.add("", "NO_SUBNET", "a VPC needs at least one subnet");
  for (std::size_t i = 0; i < vpc.subnets.size(); ++i) {
    const Subnet& subnet = vpc.subnets[i];
    const std::string name = fmt::format("subnet/{}", subnet.prefix);
    if (!subnet.prefix.contains(subnet.gateway)) {
      faults.add(name, "GATEWAY_OUTSIDE_SUBNET",
                 fmt::format("gateway {} is not in {}", subnet.gateway, subnet.prefix));
    }
    if (subnet.prefix.address().is_multicast() || subnet.prefix.length() == 0) {
      faults.add(name, "NOT_UNICAST", fmt::format("{} is not a unicast prefix", subnet.prefix));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (subnet.prefix.overlaps(vpc.subnets[j].prefix)) {
        faults.add(name, "SUBNETS_OVERLAP", fmt::format("overlaps {}", vpc.subnets[j].prefix));
      }
    }
  }
}

void check_host_blocks(const Vpc& vpc, Faults& faults) {
  for (const Subnet& subnet : vpc.subnets) {
    const std::string name = fmt::format("subnet/{}", subnet.prefix);
    const auto& blocks = subnet.host_blocks;
    for (auto block = blocks.begin(); block != blocks.end(); ++block) {
      if (!subnet.prefix.contains(block->first()) || !subnet.prefix.contains(block->last()))
        faults.add(name, "HOST_BLOCK_OUTSIDE_SUBNET", fmt::format("{} is not in the subnet", *block));
      for (auto other = blocks.begin(); other != block; ++other) {
        if (block->overlaps(*other))
          faults.add(name, "HOST_BLOCKS_OVERLAP", fmt::format("{} overlaps {}", *block, *other));
      }
    }
  }
}

bool is_unicast(const MacAddress& mac) {
  return !mac.is_multicast() && !mac.is_zero();
}

void check_vtep(const IpAddress& vtep, const std::string& name, Faults& faults) {
  if (vtep.is_multicast() || vtep.is_unspecified()) {
    faults.add(name, "MALFORMED_VTEP", fmt::format("{} is not a unicast address", vtep));
  }
}

void check_mappings(const Vpc& vpc, Faults& faults) {
  std::set<IpAddress> ips;
  std::set<std::pair<MacAddress, IpFamily>> macs;
  for (const Mapping& mapping : vpc.mappings) {
    const std::string name = fmt::format("mapping/{}", mapping.ip);
    const auto subnet = find_subnet(vpc, mapping.ip);
    if (!subnet) {
      faults.add(name, "IP_OUTSIDE_SUBNET", fmt::format("{} is in no subnet of the VPC", mapping.ip));
    } else if (is_reserved(*subnet, mapping.ip)) {
      faults.add(name, "IP_RESERVED", fmt::format("{} is reserved in {}", mapping.ip, subnet->prefix));
    }
    if (!is_unicast(mapping.mac)) {
      faults.add(name, "MAC_NOT_UNICAST", fmt::format("{} is not a unicast address", mapping.mac));
    }
    check_vtep(mapping.vtep, name, faults);
    if (!ips.insert(mapping.ip).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", mapping.ip));
    // A VM may have one address of each family.
    if (!macs.emplace(mapping.mac, mapping.ip.family()).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", mapping.mac));
  }
}

// Two peers must not offer the same addresses.
void check_apart(const Peering& a, const Peering& b, Faults& faults) {
  for (const IpPrefix& prefix : a.prefixes) {
    for (const IpPrefix& other : b.prefixes) {
      if (prefix.overlaps(other)) {
        faults.add(fmt::format("peering/{}", a.vpc), "PEERING_OVERLAP",
                   fmt::format("{} overlaps {} of {}", prefix, other, b.vpc));
      }
    }
  }
}

// RFC 1035 section 2.3: labels of 1 to 63 letters, digits and hyphens, 253 characters in all. May be empty.
bool is_domain_name(std::string_view name) {
  if (name.empty()) return true;
  if (name.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') {
      return false;
    } else if (++label > 63) {
      return false;
    }
  }
  return label != 0;
}

void check_routes(const Vpc& vpc, Faults& faults) {
  std::set<IpPrefix> seen;
  for (const Route& route : vpc.routes) {
    const std::string name = fmt::format("route/{}", route.prefix);
    if (!is_unicast(route.mac)) {
      faults.add(name, "MAC_NOT_UNICAST", fmt::format("{} is not a unicast address", route.mac));
    }
    check_vtep(route.vtep, name, faults);
    if (!seen.insert(route.prefix).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", route.prefix));
    if (route.prefix == IpPrefix::host(route.prefix.address()) && find_subnet(vpc, route.prefix.address()))
      faults.add(name, "ROUTE_INSIDE_SUBNET", "an address of a subnet is reached by a mapping");
  }
}

void check_peerings(const Vpc& vpc, Faults& faults) {
  std::set<VpcId> seen;
  for (const Peering& peering : vpc.peerings) {
    const std::string name = fmt::format("peering/{}", peering.vpc);
    if (peering.vpc == vpc.id) faults.add(name, "PEERS_WITH_ITSELF", "a VPC reaches itself anyway");
    if (!seen.insert(peering.vpc).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", peering.vpc));
    if (peering.prefixes.empty())
      faults.add(name, "NO_PREFIX", "a peering needs a prefix that it lets through");
    for (const IpPrefix& prefix : peering.prefixes) {
      for (const Subnet& subnet : vpc.subnets) {
        if (prefix.overlaps(subnet.prefix)) {
          faults.add(name, "PEERING_OVERLAP",
                     fmt::format("{} overlaps the VPC's own subnet {}", prefix, subnet.prefix));
        }
      }
    }
  }
  for (std::size_t i = 0; i < vpc.peerings.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) check_apart(vpc.peerings[i], vpc.peerings[j], faults);
  }
}

void check_guest_options(const Vpc& vpc, Faults& faults) {
  const GuestOptions& options = vpc.guest_options;
  for (const IpAddress& server : options.dns_servers) {
    if (server.is_multicast() || server.is_unspecified())
      faults.add("guest_options", "NOT_UNICAST", fmt::format("{} is not a unicast address", server));
  }
  for (const IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const auto is_of_family = [family](const auto& address) { return address.family() == family; };
    const auto check = [&](std::string_view what, std::ptrdiff_t count, std::size_t limit) {
      if (static_cast<std::size_t>(count) <= limit) return;
      faults.add("guest_options", "LIMIT_EXCEEDED",
                 fmt::format("{} {} of one family given, {} are allowed", count, what, limit));
    };
    check("DNS servers", std::ranges::count_if(options.dns_servers, is_of_family), slowpath::kMaxDnsServers);
    check("routes", std::ranges::count_if(options.routes, is_of_family), slowpath::kMaxRoutes);
  }
  if (options.lease_seconds < kMinLeaseSeconds || options.lease_seconds > kMaxLeaseSeconds) {
    faults.add("guest_options", "LEASE_OUT_OF_RANGE",
               fmt::format("{} is not from {} to {} seconds", options.lease_seconds, kMinLeaseSeconds,
                           kMaxLeaseSeconds));
  }
  if (!is_domain_name(options.domain)) {
    faults.add("guest_options", "MALFORMED_DOMAIN", fmt::format("'{}' is not a domain name", options.domain));
  }
}

// HP-16: of the five words that a match may have, the policy and the ports take one each.
constexpr std::uint8_t kMaxPrefixBitsWithPorts = 96;

void check_policy(const std::vector<PolicyRule>& policy, const std::string& place, Faults& faults) {
  for (std::size_t i = 0; i < policy.size(); ++i) {
    const PolicyRule& rule = policy[i];
    const std::string name = fmt::format("{}/{}", place, i);
    if (rule.priority > kMaxPolicyPriority) {
      faults.add(name, "PRIORITY_OUT_OF_RANGE",
                 fmt::format("{} is above {}", rule.priority, kMaxPolicyPriority));
    }
    if (rule.remote && rule.ports && rule.remote->length() > kMaxPrefixBitsWithPorts) {
      faults.add(name, "MATCH_TOO_WIDE",
                 fmt::format("the NIC cannot match more than {} bits of an IPv6 prefix together with ports",
                             kMaxPrefixBitsWithPorts));
    }
    if (rule.ports && rule.ports->first > rule.ports->last) {
      faults.add(name, "MALFORMED_PORTS",
                 fmt::format("{}-{} is not a range", rule.ports->first, rule.ports->last));
    }
    if (rule.ports && rule.protocol != 6 && rule.protocol != 17) {
      faults.add(name, "PORTS_WITHOUT_PROTOCOL", "ports need protocol tcp or udp");
    }
  }
}

void check_policy_groups(const Vpc& vpc, Faults& faults) {
  std::set<PolicyGroupId> seen;
  for (const PolicyGroup& group : vpc.policy_groups) {
    const std::string name = fmt::format("policy_group/{}", group.id);
    if (!seen.insert(group.id).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", group.id));
    check_policy(group.rules, name, faults);
  }
}

}  // namespace

std::vector<ResourceError> check_vpc(const Vpc& vpc) {
  Faults faults(vpc);
  check_limits(vpc, faults);
  auto found = faults.take();
  if (!found.empty()) return found;  // nothing else is worth the time
  check_subnets(vpc, faults);
  check_host_blocks(vpc, faults);
  check_mappings(vpc, faults);
  check_policy(vpc.policy, "policy", faults);
  check_policy_groups(vpc, faults);
  check_routes(vpc, faults);
  check_peerings(vpc, faults);
  check_guest_options(vpc, faults);
  return faults.take();
}

std::vector<ResourceError> check_vpc_set(const VpcSet& vpcs) {
  std::vector<ResourceError> found;
  std::map<Vni, VpcId> owners;
  for (const auto& [id, vpc] : vpcs) {
    const auto [owner, inserted] = owners.emplace(vpc->vni, id);
    if (!inserted) {
      found.push_back({fmt::format("vpc/{}", id),
                       Error{Code::kAlreadyExists,
                             fmt::format("VNI {} is that of VPC {}", vpc->vni, owner->second), "VNI_TAKEN"}});
    }
  }
  return found;
}

}  // namespace berth::dataplane
