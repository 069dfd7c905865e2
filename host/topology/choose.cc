#include "host/topology/choose.h"

#include <algorithm>
#include <tuple>

namespace berth::host::topology {
namespace {

struct Reach {
  unsigned nearest = static_cast<unsigned>(Distance::kSys);
  unsigned sum = 0;
};

Reach reach_of(const Topology& topology, const PciAddress& function, std::span<const PciAddress> near) {
  const Device* device = topology.find(function);
  Reach reach;
  for (const PciAddress& address : near) {
    const Device* other = topology.find(address);
    const Distance away =
        device != nullptr && other != nullptr ? distance(topology, *device, *other) : Distance::kSys;
    reach.nearest = std::min(reach.nearest, static_cast<unsigned>(away));
    reach.sum += static_cast<unsigned>(away);
  }
  return reach;
}

}  // namespace

std::optional<FreeFunction> choose_function(const Topology& topology, std::span<const FreeFunction> free,
                                            std::span<const PciAddress> near) {
  if (free.empty()) return std::nullopt;
  const auto cost = [&](const FreeFunction& function) {
    const Reach reach = reach_of(topology, function.address, near);
    return std::tuple(reach.nearest, reach.sum, function.load);
  };
  return *std::ranges::min_element(free, {}, cost);
}

}  // namespace berth::host::topology
