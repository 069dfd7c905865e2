#include "agent/address_pool.h"

#include <algorithm>
#include <limits>
#include <set>

namespace berth::agent {

void AddressPool::note_freed(const FreedAddress& freed) {
  const auto [known, is_new] = freed_.try_emplace(freed, next_);
  if (!is_new) {
    by_age_.erase(known->second);
    known->second = next_;
  }
  by_age_.emplace(next_++, freed);
  if (by_age_.size() <= kMaxFreed) return;
  freed_.erase(by_age_.begin()->second);
  by_age_.erase(by_age_.begin());
}

std::optional<IpAddress> AddressPool::choose(const VpcId& vpc, const dataplane::Subnet& subnet,
                                             const std::function<bool(const IpAddress&)>& is_taken) const {
  std::map<std::uint64_t, IpAddress> freed;
  for (const IpRange& block : subnet.host_blocks) {
    for (std::optional ip = block.first(); ip && *ip <= block.last(); ip = next_address(*ip)) {
      if (is_reserved(subnet, *ip) || is_taken(*ip)) continue;
      const auto known = freed_.find({vpc, *ip});
      if (known == freed_.end()) return ip;
      freed.emplace(known->second, *ip);
    }
  }
  if (freed.empty()) return std::nullopt;
  return freed.begin()->second;
}

std::uint64_t count_in_blocks(const dataplane::Subnet& subnet) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  const std::set<IpAddress> special = {subnet.gateway, subnet.prefix.address(), subnet.prefix.last_address()};
  std::uint64_t count = 0;
  for (const IpRange& block : subnet.host_blocks) {
    const std::uint64_t more = block.count();
    if (more == kMost || more > kMost - count) return kMost;
    count += more;
    count -= static_cast<std::uint64_t>(std::ranges::count_if(
        special, [&](const IpAddress& ip) { return block.contains(ip) && is_reserved(subnet, ip); }));
  }
  return count;
}

bool is_in_blocks(const dataplane::Vpc& vpc, const IpAddress& ip) {
  const auto subnet = find_subnet(vpc, ip);
  return subnet &&
         std::ranges::any_of(subnet->host_blocks, [&](const IpRange& block) { return block.contains(ip); });
}

}  // namespace berth::agent
