#include "dataplane/vpc_check.h"

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
}

void check_subnets(const Vpc& vpc, Faults& faults) {
  if (vpc.subnets.empty()) faults.add("", "NO_SUBNET", "a VPC needs at least one subnet");
  for (std::size_t i = 0; i < vpc.subnets.size(); ++i) {
    const Subnet& subnet = vpc.subnets[i];
    const std::string name = fmt::format("subnet/{}", subnet.prefix);
    if (!subnet.prefix.address().is_v4()) {
      faults.add(name, "IP_FAMILY_UNSUPPORTED", "only IPv4 subnets are supported");
      continue;
    }
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

void check_mappings(const Vpc& vpc, Faults& faults) {
  std::set<IpAddress> ips;
  std::set<MacAddress> macs;
  for (const Mapping& mapping : vpc.mappings) {
    const std::string name = fmt::format("mapping/{}", mapping.ip);
    const auto subnet = find_subnet(vpc, mapping.ip);
    if (!subnet) {
      faults.add(name, "IP_OUTSIDE_SUBNET", fmt::format("{} is in no subnet of the VPC", mapping.ip));
    } else if (is_reserved(*subnet, mapping.ip)) {
      faults.add(name, "IP_RESERVED", fmt::format("{} is reserved in {}", mapping.ip, subnet->prefix));
    }
    if (mapping.mac.is_multicast() || mapping.mac.is_zero()) {
      faults.add(name, "MAC_NOT_UNICAST", fmt::format("{} is not a unicast address", mapping.mac));
    }
    if (!mapping.vtep.is_v4() || mapping.vtep.is_multicast() || mapping.vtep.is_unspecified()) {
      faults.add(name, "MALFORMED_VTEP", fmt::format("{} is not an IPv4 unicast address", mapping.vtep));
    }
    if (!ips.insert(mapping.ip).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", mapping.ip));
    if (!macs.insert(mapping.mac).second)
      faults.add(name, "DUPLICATE", fmt::format("{} is given twice", mapping.mac));
  }
}

void check_policy(const Vpc& vpc, Faults& faults) {
  for (std::size_t i = 0; i < vpc.policy.size(); ++i) {
    const PolicyRule& rule = vpc.policy[i];
    const std::string name = fmt::format("policy/{}", i);
    if (rule.priority > kMaxPolicyPriority) {
      faults.add(name, "PRIORITY_OUT_OF_RANGE",
                 fmt::format("{} is above {}", rule.priority, kMaxPolicyPriority));
    }
    if (rule.remote && !rule.remote->address().is_v4()) {
      faults.add(name, "IP_FAMILY_UNSUPPORTED", "only IPv4 prefixes are supported");
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

}  // namespace

std::vector<ResourceError> check_vpc(const Vpc& vpc) {
  Faults faults(vpc);
  check_limits(vpc, faults);
  auto found = faults.take();
  if (!found.empty()) return found;  // nothing else is worth the time
  check_subnets(vpc, faults);
  check_mappings(vpc, faults);
  check_policy(vpc, faults);
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
