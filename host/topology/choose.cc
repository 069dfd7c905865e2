#include "host/topology/choose.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::host::topology {
namespace {

std::vector<Distance> distances_of(const Topology& places, const PciAddress& pf,
                                   std::span<const PciAddress> near) {
  std::vector<Distance> distances;
  const Device* from = places.find(pf);
  for (const PciAddress& address : near) {
    const Device* to = places.find(address);
    const bool is_known = from != nullptr && to != nullptr;
    distances.push_back(is_known ? distance(places, *from, *to) : Distance::kSys);
  }
  return distances;
}

// Less is better.
std::tuple<Distance, unsigned, std::size_t, PciAddress> cost_of(const Topology& places,
                                                                const FreeFunctions& free,
                                                                std::span<const PciAddress> near) {
  Distance worst = Distance::kSelf;
  unsigned sum = 0;
  for (const Distance away : distances_of(places, free.pf, near)) {
    worst = std::max(worst, away);
    sum += static_cast<unsigned>(away);
  }
  return {worst, sum, std::numeric_limits<std::size_t>::max() - free.count, free.pf};
}

}  // namespace

std::optional<NearestPf> choose_pf(const Topology& places, std::span<const FreeFunctions> pfs,
                                   std::span<const PciAddress> near) {
  std::vector<FreeFunctions> open;
  std::ranges::copy_if(pfs, std::back_inserter(open),
                       [](const FreeFunctions& one) { return one.count != 0; });
  if (open.empty()) return std::nullopt;
  const auto best = std::ranges::min_element(
      open, {}, [&](const FreeFunctions& one) { return cost_of(places, one, near); });
  return NearestPf{.pf = best->pf, .distances = distances_of(places, best->pf, near)};
}

std::string describe(const NearestPf& chosen, std::span<const PciAddress> near) {
  std::map<Distance, std::vector<std::string>> by_distance;
  for (std::size_t i = 0; i < near.size(); ++i) by_distance[chosen.distances[i]].push_back(near[i].str());
  std::vector<std::string> parts;
  for (const auto& [away, devices] : by_distance)
    parts.push_back(fmt::format("{} to {}", distance_name(away), fmt::join(devices, " ")));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace berth::host::topology
