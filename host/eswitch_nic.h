// What a NIC must be before DPDK may open its eSwitch. DPDK's words for all of this would be "no ports"; here
// each thing that is missing has a name, and its cure. Nothing is changed: modes and VFs are made when nobody
// has a function (docs/rule-holder.md).
//
// Never run with a ConnectX: proven on folders like /sys and on devlink's recorded shapes.
#pragma once

#include "host/netlink/devlink.h"
#include "host/pci/pci_tree.h"

#include <cstdint>
#include <string>

namespace berth::host {

struct NicNeeds {
  PciAddress pf;
  std::uint16_t functions = 0;      // VFs 0 and on, each with its representor
  std::string uplink;               // the network device of the wire
  bool has_dpdk_driver = false;     // the one of this DPDK for ConnectX is installed
  std::uint64_t hugepages_mib = 0;  // free ones
};

// In this order:
//   NOT_FOUND            PCI_DEVICE_UNKNOWN
//   FAILED_PRECONDITION  NOT_A_CONNECTX       its driver is not mlx5_core
//                        NOT_A_PF             it is a VF itself
//                        NOT_SWITCHDEV        its eSwitch is in another mode, or it has none
//                        UPLINK_NOT_OF_NIC    the network device of the wire is another one's
//                        VFS_MISSING          fewer VFs, or representors, than functions
//                        DPDK_DRIVER_MISSING
//                        VERBS_MISSING        the kernel's half of rdma-core, which that driver stands on
//                        HUGEPAGES_MISSING
// and errors of Devlink. LIFETIME: `tree` and `devlink` outlive the call.
Task<void> check_nic(NicNeeds needs, const PciTree& tree, Devlink& devlink);

// The same on this machine. Blocks for milliseconds; before anything else of the process runs.
Result<void> check_nic_now(const NicNeeds& needs);

}  // namespace berth::host
