// Which NIC a VM gets a function of: the one nearest to its GPUs. Pure.
#pragma once

#include "host/topology/topology.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::host::topology {

// A PF with functions that are free.
struct FreeFunctions {
  PciAddress pf;
  std::size_t count = 0;  // a PF without is never chosen
};

struct NearestPf {
  PciAddress pf;
  std::vector<Distance> distances;  // to each of `near`, in its order
};

// Of the PFs with a free function the one with, in this order: the least distance to the farthest of `near`,
// the least sum of distances to all of them, the most free functions, the lowest address. So one that is full
// is passed over, and the next one by distance is taken. A PF or a near device that `places` does not know is
// as far as can be. Nothing when none is free.
std::optional<NearestPf> choose_pf(const Topology& places, std::span<const FreeFunctions> pfs,
                                   std::span<const PciAddress> near);

// "PIX to 0000:18:00.0 0000:1a:00.0, SYS to 0000:9a:00.0"; empty without `near`.
std::string describe(const NearestPf& chosen, std::span<const PciAddress> near);

}  // namespace berth::host::topology
