#include "dataplane/slowpath/port_facts.h"

#include "dataplane/slowpath/dns_name.h"

#include <algorithm>
#include <utility>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint32_t kMinMtuBytesV4 = 576;  // what every IPv4 host must take
constexpr std::uint32_t kMinMtuBytesV6 = 1280;
constexpr std::uint32_t kMaxMtuBytes = 9216;
constexpr std::chrono::seconds kMinLease{60};
constexpr std::chrono::seconds kMaxLease{365 * 86400};

Result<void> check_macs(const PortAnswers& answers) {
  for (const auto& [field, mac] :
       {std::pair("vm_mac", answers.vm_mac), {"gateway_mac", answers.gateway_mac}}) {
    if (mac.is_zero() || mac.is_multicast())
      return fail_field(field, "MAC_UNUSABLE", fmt::format("{} is no station's address", mac));
  }
  if (answers.vm_mac == answers.gateway_mac)
    return fail_field("vm_mac", "MAC_UNUSABLE", "the VM has the gateway's MAC");
  return {};
}

Result<void> check_address(const VmAddress& address) {
  for (const IpAddress& ip : {address.ip, address.gateway}) {
    if (ip.is_unspecified() || ip.is_multicast() || is_link_local(ip))
      return fail_field("addresses", "ADDRESS_UNUSABLE", fmt::format("{} is no host's address", ip));
    if (ip.family() != address.subnet.family() || !address.subnet.contains(ip))
      return fail_field("addresses", "ADDRESS_OUTSIDE_SUBNET",
                        fmt::format("{} is not in {}", ip, address.subnet));
  }
  if (address.ip == address.gateway)
    return fail_field("addresses", "ADDRESS_UNUSABLE", fmt::format("{} is the gateway's", address.ip));
  return {};
}

Result<void> check_texts(const PortAnswers& answers) {
  if (!answers.domain.empty() && !is_dns_name(answers.domain))
    return fail_field("domain", "DOMAIN_MALFORMED", fmt::format("'{}' is no domain name", answers.domain));
  if (!answers.hostname.empty() && !is_dns_name(answers.hostname))
    return fail_field("hostname", "HOSTNAME_MALFORMED",
                      fmt::format("'{}' is no host name", answers.hostname));
  return {};
}

Result<void> check_lists(const PortAnswers& answers) {
  for (const IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const auto servers = std::ranges::count(answers.dns_servers, family, &IpAddress::family);
    if (std::cmp_greater(servers, kMaxDnsServers))
      return fail_field("dns_servers", "TOO_MANY_DNS_SERVERS",
                        fmt::format("{}; at most {} of a family", servers, kMaxDnsServers));
    const auto routes = std::ranges::count(answers.routes, family,
                                           [](const AnnouncedRoute& route) { return route.prefix.family(); });
    if (std::cmp_greater(routes, kMaxRoutes))
      return fail_field("routes", "TOO_MANY_ROUTES",
                        fmt::format("{}; at most {} of a family", routes, kMaxRoutes));
  }
  return {};
}

Result<void> check_numbers(const PortAnswers& answers, bool has_v6) {
  const std::uint32_t least = has_v6 ? kMinMtuBytesV6 : kMinMtuBytesV4;
  if (answers.mtu_bytes < least || answers.mtu_bytes > kMaxMtuBytes)
    return fail_field("mtu_bytes", "MTU_OUT_OF_RANGE",
                      fmt::format("{} is not from {} to {}", answers.mtu_bytes, least, kMaxMtuBytes));
  if (answers.lease < kMinLease || answers.lease > kMaxLease)
    return fail_field("lease", "LEASE_OUT_OF_RANGE",
                      fmt::format("{} s is not from {} s to {} s", answers.lease.count(), kMinLease.count(),
                                  kMaxLease.count()));
  return {};
}

}  // namespace

bool PortFacts::is_vm_ipv6(const IpAddress& ip) const {
  return (v6 && ip == v6->ip) || (is_link_local(ip) && ip != gateway_link_local);
}

Result<PortFacts> derive_port_facts(PortAnswers answers) {
  PortFacts facts;
  if (auto checked = check_macs(answers); !checked) return pass(checked);
  if (answers.addresses.empty()) return fail_field("addresses", "ADDRESS_MISSING", "a VM has one at least");
  for (const VmAddress& address : answers.addresses) {
    if (auto checked = check_address(address); !checked) return pass(checked);
    auto& of_family = address.ip.is_v4() ? facts.v4 : facts.v6;
    if (of_family)
      return fail_field("addresses", "ADDRESS_AMBIGUOUS",
                        fmt::format("{} and {} are of one family", of_family->ip, address.ip));
    of_family = address;
  }
  if (auto checked = check_numbers(answers, facts.v6.has_value()); !checked) return pass(checked);
  if (auto checked = check_lists(answers); !checked) return pass(checked);
  if (auto checked = check_texts(answers); !checked) return pass(checked);
  facts.gateway_link_local = link_local_of(answers.gateway_mac);
  facts.answers = std::move(answers);
  return facts;
}

}  // namespace berth::dataplane::slowpath
