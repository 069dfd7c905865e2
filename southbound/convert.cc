#include "southbound/convert.h"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace berth::southbound {
namespace {

// A push with many faults is answered with the first ones; the controller has enough to go on.
constexpr std::size_t kMaxReportedErrors = 100;

class Converter {
 public:
  Converter(const v1::Vpc& message, std::vector<dataplane::ResourceError>& errors)
      : message_(message), errors_(errors), name_(fmt::format("vpc/{}", message.id().substr(0, 80))) {}

  dataplane::Vpc convert() {
    dataplane::Vpc vpc;
    vpc.id = take(name_, VpcId::parse("id", message_.id()));
    vpc.vni = take(name_, Vni::parse("vni", message_.vni()));
    for (const v1::Subnet& subnet : message_.subnets()) vpc.subnets.push_back(to_subnet(subnet));
    for (const v1::Mapping& mapping : message_.mappings()) vpc.mappings.push_back(to_mapping(mapping));
    vpc.policy = to_policy(message_.policy(), name_ + "/policy");
    for (const v1::Route& route : message_.routes()) vpc.routes.push_back(to_route(route, vpc.vni));
    for (const v1::Peering& peering : message_.peerings()) vpc.peerings.push_back(to_peering(peering));
    vpc.guest_options = to_guest_options(message_.guest_options());
    for (const v1::PolicyGroup& group : message_.policy_groups())
      vpc.policy_groups.push_back(to_policy_group(group));
    return vpc;
  }

 private:
  template <typename T>
  T take(const std::string& resource, Result<T> value) {
    if (value) return *std::move(value);
    errors_.push_back({resource, value.error()});
    return T();
  }

  dataplane::Subnet to_subnet(const v1::Subnet& subnet) {
    const std::string name = fmt::format("{}/subnet/{}", name_, subnet.prefix());
    dataplane::Subnet typed{.prefix = take(name, IpPrefix::parse("prefix", subnet.prefix())),
                            .gateway = take(name, IpAddress::parse("gateway", subnet.gateway()))};
    for (const std::string& block : subnet.host_blocks())
      typed.host_blocks.push_back(take(name, IpRange::parse("host_blocks", block)));
    return typed;
  }

  dataplane::Mapping to_mapping(const v1::Mapping& mapping) {
    const std::string name = fmt::format("{}/mapping/{}", name_, mapping.ip());
    return {take(name, IpAddress::parse("ip", mapping.ip())),
            take(name, MacAddress::parse("mac", mapping.mac())),
            take(name, IpAddress::parse("vtep", mapping.vtep()))};
  }

  dataplane::Route to_route(const v1::Route& route, Vni own) {
    const std::string name = fmt::format("{}/route/{}", name_, route.prefix());
    return {take(name, IpPrefix::parse("prefix", route.prefix())),
            take(name, IpAddress::parse("vtep", route.vtep())),
            take(name, MacAddress::parse("mac", route.mac())),
            route.vni() == 0 ? own : take(name, Vni::parse("vni", route.vni()))};
  }

  dataplane::Peering to_peering(const v1::Peering& peering) {
    const std::string name = fmt::format("{}/peering/{}", name_, peering.vpc());
    dataplane::Peering typed{.vpc = take(name, VpcId::parse("vpc", peering.vpc())), .prefixes = {}};
    for (const std::string& prefix : peering.prefixes()) {
      typed.prefixes.push_back(take(name, IpPrefix::parse("prefixes", prefix)));
    }
    return typed;
  }

  dataplane::GuestOptions to_guest_options(const v1::GuestOptions& options) {
    dataplane::GuestOptions typed{.dns_servers = {}, .domain = options.domain(), .routes = {}};
    for (const std::string& server : options.dns_servers()) {
      typed.dns_servers.push_back(take(name_ + "/guest_options", IpAddress::parse("dns_servers", server)));
    }
    for (const std::string& prefix : options.routes()) {
      typed.routes.push_back(take(name_ + "/guest_options", IpPrefix::parse("routes", prefix)));
    }
    if (options.lease_seconds() != 0) typed.lease_seconds = options.lease_seconds();
    return typed;
  }

  dataplane::PolicyGroup to_policy_group(const v1::PolicyGroup& group) {
    const std::string name = fmt::format("{}/policy_group/{}", name_, group.id().substr(0, 80));
    return {.id = take(name, dataplane::PolicyGroupId::parse("id", group.id())),
            .rules = to_policy(group.rules(), name)};
  }

  template <typename Rules>
  std::vector<dataplane::PolicyRule> to_policy(const Rules& rules, const std::string& place) {
    std::vector<dataplane::PolicyRule> policy;
    for (const v1::PolicyRule& rule : rules)
      policy.push_back(to_policy_rule(rule, fmt::format("{}/{}", place, policy.size())));
    return policy;
  }

  dataplane::PolicyRule to_policy_rule(const v1::PolicyRule& rule, const std::string& name) {
    const auto refuse = [&](std::string field, std::string why) {
      errors_.push_back({name, fail_field(std::move(field), "MALFORMED_POLICY", std::move(why)).error()});
    };
    dataplane::PolicyRule typed;
    if (rule.direction() != v1::PolicyRule::INGRESS && rule.direction() != v1::PolicyRule::EGRESS) {
      refuse("direction", "must be INGRESS or EGRESS");
    }
    if (rule.action() != v1::PolicyRule::ALLOW && rule.action() != v1::PolicyRule::DENY) {
      refuse("action", "must be ALLOW or DENY");
    }
    if (rule.priority() > dataplane::kMaxPolicyPriority) {
      refuse("priority", fmt::format("{} is above {}", rule.priority(), dataplane::kMaxPolicyPriority));
    }
    typed.direction = rule.direction() == v1::PolicyRule::EGRESS ? dataplane::Direction::kEgress
                                                                 : dataplane::Direction::kIngress;
    typed.verdict =
        rule.action() == v1::PolicyRule::DENY ? dataplane::Verdict::kDeny : dataplane::Verdict::kAllow;
    typed.priority = static_cast<std::uint16_t>(rule.priority());
    switch (rule.protocol()) {
      case v1::PolicyRule::ANY:
        break;
      case v1::PolicyRule::TCP:
        typed.protocol = 6;
        break;
      case v1::PolicyRule::UDP:
        typed.protocol = 17;
        break;
      case v1::PolicyRule::ICMP:
        typed.protocol = 1;
        break;
      default:
        refuse("protocol", "is not one of ANY, TCP, UDP, ICMP");
    }
    if (!rule.remote().empty()) typed.remote = take(name, IpPrefix::parse("remote", rule.remote()));
    if (rule.port_first() > 0xFFFF || rule.port_last() > 0xFFFF) refuse("port_first", "ports are 0 to 65535");
    if (rule.port_first() != 0 || rule.port_last() != 0) {
      typed.ports = {static_cast<std::uint16_t>(rule.port_first()),
                     static_cast<std::uint16_t>(rule.port_last())};
    }
    return typed;
  }

  const v1::Vpc& message_;
  std::vector<dataplane::ResourceError>& errors_;
  std::string name_;
};

}  // namespace

dataplane::Vpc to_vpc(const v1::Vpc& message, std::vector<dataplane::ResourceError>& errors) {
  return Converter(message, errors).convert();
}

void fill_errors(v1::Nack& nack, const std::vector<dataplane::ResourceError>& errors) {
  for (const dataplane::ResourceError& error : errors) {
    if (static_cast<std::size_t>(nack.errors_size()) == kMaxReportedErrors) return;
    v1::ResourceError& reported = *nack.add_errors();
    reported.set_resource(error.resource);
    const bool refused_rule = error.error.code == Code::kHardwareRejected;
    reported.set_code(static_cast<int>(refused_rule ? Code::kFailedPrecondition : error.error.code));
    reported.set_reason(error.error.reason);
    reported.set_message(error.error.message);
  }
}

}  // namespace berth::southbound
