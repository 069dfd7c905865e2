// Which free function a VM gets: the one nearest to its GPUs.
#pragma once

#include "host/topology/topology.h"

#include <cstdint>
#include <optional>
#include <span>

namespace berth::host::topology {

struct FreeFunction {
  std::uint16_t index = 0;  // vf<index>
  PciAddress address;
  // How many functions of the same PF VMs have already: ties go to the NIC with least to do.
  std::uint32_t load = 0;
};

// Pure. Of the free functions the one with, in this order: the least distance to the nearest of `near`, the
// least sum of distances to all of them, the least load, the earliest place in `free` (pass those first that
// have rested longest). A function or a near device that the topology does not know is as far as can be.
// Without `near` only load and place count. Nothing when none is free.
std::optional<FreeFunction> choose_function(const Topology& topology, std::span<const FreeFunction> free,
                                            std::span<const PciAddress> near);

}  // namespace berth::host::topology
