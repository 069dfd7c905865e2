// What the slow path tells a VM about its network.
#include "dataplane/compile_parts.h"

namespace berth::dataplane {

PortAnswers compile_answers(const Vpc& vpc, const LocalEndpoint& self, std::uint32_t mtu_bytes) {
  PortAnswers answers{.vm_mac = self.mac,
                      .gateway_mac = kGatewayMac,
                      .addresses = {},
                      .mtu_bytes = mtu_bytes,
                      .dns_servers = vpc.guest_options.dns_servers,
                      .domain = vpc.guest_options.domain,
                      .hostname = {},
                      .routes = {},
                      .lease = std::chrono::seconds(vpc.guest_options.lease_seconds)};
  for (const IpAddress& ip : self.ips) {
    if (const auto subnet = find_subnet(vpc, ip))
      answers.addresses.push_back({ip, subnet->prefix, subnet->gateway});
  }
  for (const IpPrefix& prefix : vpc.guest_options.routes) answers.routes.push_back({prefix});
  return answers;
}

}  // namespace berth::dataplane
