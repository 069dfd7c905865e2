#include "dataplane/vpc.h"

#include <algorithm>

namespace berth::dataplane {

std::optional<Subnet> find_subnet(const Vpc& vpc, const IpAddress& ip) {
  const auto found =
      std::ranges::find_if(vpc.subnets, [&](const Subnet& subnet) { return subnet.prefix.contains(ip); });
  if (found == vpc.subnets.end()) return std::nullopt;
  return *found;
}

const PolicyGroup* find_policy_group(const Vpc& vpc, const PolicyGroupId& id) {
  const auto found = std::ranges::find(vpc.policy_groups, id, &PolicyGroup::id);
  return found == vpc.policy_groups.end() ? nullptr : &*found;
}

bool is_reserved(const Subnet& subnet, const IpAddress& ip) {
  if (ip == subnet.gateway) return true;
  const unsigned bits = ip.is_v4() ? 32 : 128;
  if (subnet.prefix.length() + 1U >= bits) return false;  // RFC 3021, RFC 6164: both addresses are hosts
  // IPv6 has no broadcast; its network address is the subnet-router anycast address (RFC 4291 2.6.1).
  return ip == subnet.prefix.address() || (ip.is_v4() && ip == subnet.prefix.last_address());
}

std::vector<IpPrefix> peered_prefixes(const Vpc& vpc, const Vpc& peer) {
  const auto ours = std::ranges::find(vpc.peerings, peer.id, &Peering::vpc);
  const auto theirs = std::ranges::find(peer.peerings, vpc.id, &Peering::vpc);
  if (ours == vpc.peerings.end() || theirs == peer.peerings.end()) return {};
  return ours->prefixes;
}

std::vector<std::shared_ptr<const Vpc>> peers_of(const Vpc& vpc, const VpcSet& vpcs) {
  std::vector<std::shared_ptr<const Vpc>> peers;
  for (const Peering& peering : vpc.peerings) {
    const auto peer = vpcs.find(peering.vpc);
    if (peer != vpcs.end() && !peered_prefixes(vpc, *peer->second).empty()) peers.push_back(peer->second);
  }
  return peers;
}

}  // namespace berth::dataplane
