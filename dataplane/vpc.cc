#include "dataplane/vpc.h"

#include <algorithm>

namespace berth::dataplane {

std::optional<Subnet> find_subnet(const Vpc& vpc, const IpAddress& ip) {
  const auto found =
      std::ranges::find_if(vpc.subnets, [&](const Subnet& subnet) { return subnet.prefix.contains(ip); });
  if (found == vpc.subnets.end()) return std::nullopt;
  return *found;
}

bool is_reserved(const Subnet& subnet, const IpAddress& ip) {
  if (ip == subnet.gateway) return true;
  if (subnet.prefix.length() >= 31) return false;  // RFC 3021: both addresses are hosts
  return ip == subnet.prefix.address() || ip == subnet.prefix.last_address();
}

}  // namespace berth::dataplane
