#include "host/topology/places.h"

#include <algorithm>
#include <ranges>

namespace berth::host::topology {

Topology read_places(const PciTree& tree, std::span<const PciAddress> functions) {
  Topology places;
  for (const PciAddress& address : functions) {
    const auto function = tree.read(address);
    if (!function) continue;
    Device device{.address = address,
                  .kind = Kind::kOther,
                  .numa_node = function->numa_node.value_or(-1),
                  .root_complex = tree.root_complex_of(address)};
    for (const PciAddress& bridge : tree.bridges_above(address) | std::views::reverse)
      device.bridges.push_back({.address = bridge});
    places.devices.push_back(std::move(device));
  }
  std::ranges::sort(places.devices, {}, &Device::address);
  const auto twice = std::ranges::unique(places.devices, {}, &Device::address);
  places.devices.erase(twice.begin(), twice.end());
  return places;
}

}  // namespace berth::host::topology
