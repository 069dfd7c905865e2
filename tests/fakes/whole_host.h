// Every rule that the eSwitch of a host holds: two VMs, `web` (vf0) and `db` (vf1), of one VPC, which
// also has a VM on another host. The address plan of all tests.
#pragma once

#include "dataplane/compile.h"
#include "dataplane/wire_numbers.h"

#include <memory>
#include <utility>
#include <vector>

namespace berth::testing {

inline IpAddress ip(std::string_view text) {
  return IpAddress::parse("ip", text).value();
}
inline MacAddress mac(std::string_view text) {
  return MacAddress::parse("mac", text).value();
}
inline IpPrefix prefix(std::string_view text) {
  return IpPrefix::parse("prefix", text).value();
}

inline const dataplane::Underlay kUnderlay{.vtep = ip("192.0.2.1"),
                                           .mac = mac("02:00:00:00:ff:01"),
                                           .next_hops = {{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}}};
inline const dataplane::Underlay kIpv6Underlay{
    .vtep = ip("2001:db8:ffff::1"),
    .mac = mac("02:00:00:00:ff:01"),
    .next_hops = {{ip("2001:db8:ffff::2"), mac("02:00:00:00:ff:02")}}};
inline const dataplane::LocalEndpoint kWeb{.port = dataplane::EswitchPort::function(0),
                                           .ips = {ip("10.1.0.5"), ip("2001:db8:1::5")},
                                           .mac = mac("02:00:00:00:01:05"),
                                           .rates = {.from_vm = 1000000000, .to_vm = 2000000000}};
inline const dataplane::LocalEndpoint kDb{
    .port = dataplane::EswitchPort::function(1), .ips = {ip("10.1.0.6")}, .mac = mac("02:00:00:00:01:06")};

inline dataplane::Vpc make_vpc(const std::string& id, std::uint32_t vni) {
  return {
      .id = VpcId::trusted(id),
      .vni = Vni::trusted(vni),
      .subnets = {{prefix("10.1.0.0/24"), ip("10.1.0.1")}, {prefix("2001:db8:1::/64"), ip("2001:db8:1::1")}},
      .mappings = {{ip("10.1.0.200"), mac("02:00:00:00:01:c8"), ip("192.0.2.2")}}};
}

// The same with every shape that a policy rule can have.
inline dataplane::Vpc make_vpc_with_policy() {
  using namespace dataplane;
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {
      {Direction::kIngress, 9999, Verdict::kDeny, kProtocolTcp, prefix("10.1.0.0/25"), PortRange{1, 65534}},
      {Direction::kEgress, 0, Verdict::kDeny, kProtocolUdp, prefix("10.1.0.0/24"), PortRange{53, 53}},
      {Direction::kIngress, 1, Verdict::kAllow, kProtocolIcmp, std::nullopt, std::nullopt},
      {Direction::kEgress, 7, Verdict::kDeny, std::nullopt, std::nullopt, std::nullopt},
      {Direction::kEgress, 7, Verdict::kAllow, kProtocolTcp, std::nullopt, std::nullopt},
      {Direction::kIngress, 3, Verdict::kDeny, kProtocolTcp, prefix("2001:db8:1::/96"), PortRange{22, 22}}};
  vpc.mappings.push_back({ip("2001:db8:1::c8"), mac("02:00:00:00:01:c8"), ip("192.0.2.2")});
  vpc.routes = {{prefix("0.0.0.0/0"), ip("192.0.2.2"), mac("02:00:00:00:fe:01"), Vni::trusted(9001)},
                {prefix("2001:db8:ff::/48"), ip("192.0.2.2"), mac("02:00:00:00:fe:01"), Vni::trusted(9001)}};
  return vpc;
}

// The same VPC as a controller describes it to a host with an IPv6 underlay.
inline dataplane::Vpc on_ipv6_underlay(dataplane::Vpc vpc) {
  for (auto& mapping : vpc.mappings) mapping.vtep = ip("2001:db8:ffff::2");
  for (auto& route : vpc.routes) route.vtep = ip("2001:db8:ffff::2");
  return vpc;
}

inline std::vector<dataplane::Rule> whole_host(const dataplane::Vpc& vpc,
                                               const dataplane::Underlay& underlay = kUnderlay) {
  using namespace dataplane;
  std::vector<Rule> all;
  const auto append = [&](const std::vector<Rule>& rules) {
    all.insert(all.end(), rules.begin(), rules.end());
  };
  append(compile_host(underlay));
  append(compile_vpc(vpc, {}, underlay));
  for (const LocalEndpoint& self : {kWeb, kDb}) {
    append(compile_closed(self.port));
    append(compile_port(vpc, self));
    append(compile_delivery(vpc, {}, self));
  }
  return all;
}

inline std::shared_ptr<const dataplane::VpcSet> make_vpcs(const std::vector<dataplane::Vpc>& vpcs) {
  auto set = std::make_shared<dataplane::VpcSet>();
  for (const auto& vpc : vpcs) set->emplace(vpc.id, std::make_shared<const dataplane::Vpc>(vpc));
  return set;
}

}  // namespace berth::testing
