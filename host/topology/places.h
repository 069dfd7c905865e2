// Where a few functions of the host sit, for distances between them. Reads links and what the kernel keeps of
// the enumeration, never configuration space: it takes no lock and does not wait, unlike read_topology().
#pragma once

#include "host/pci/pci_tree.h"
#include "host/topology/topology.h"

#include <span>

namespace berth::host::topology {

// Of any kind (Kind::kOther). Those that are not there are not in it.
Topology read_places(const PciTree& tree, std::span<const PciAddress> functions);

}  // namespace berth::host::topology
