// A virtual PCIe for a VM that keeps what matters of the host's: one expander bus for each root complex, one
// switch for each physical switch, and spare hotplug ports, which QEMU cannot add to a running VM.
// Source: QEMU docs/pcie.txt, docs/pci_expander_bridge.txt.
#pragma once

#include "host/topology/topology.h"
#include "host/vm_plug.h"

#include <span>
#include <string>
#include <vector>

namespace berth::host::topology {

inline constexpr unsigned kMaxSpare = 64;
// Bus numbers that stay with pcie.0 and the ports that others put there.
inline constexpr unsigned kReservedBuses = 32;

// 128 and above are those of start_arguments().
inline constexpr unsigned kMaxChassis = 127;

struct PlannedPort {
  std::string id;
  unsigned chassis = 0;
  std::optional<PciAddress> device;  // none: spare
};

struct PlannedSwitch {
  std::string id;      // "berth-pxb0-sw0": upstream port, behind the root port <id>-rp
  PciAddress mirrors;  // upstream port of the host
  unsigned chassis = 0;
  std::vector<PlannedPort> ports;  // downstream
};

struct PlannedRoot {
  std::string id;            // "berth-pxb0"
  std::string root_complex;  // that it mirrors
  int host_node = -1;
  int guest_node = -1;  // the VM's own NUMA nodes are numbered from 0, in the order of the host's
  unsigned bus_number = 0;
  std::vector<PlannedSwitch> switches;
  std::vector<PlannedPort> ports;  // root ports: devices without a switch, and spare ones
};

struct Plan {
  std::vector<PlannedRoot> roots;
};

// NOT_FOUND (DEVICE_UNKNOWN), INVALID_ARGUMENT (DEVICE_TWICE, NO_DEVICE, TOO_MANY_SPARE), RESOURCE_EXHAUSTED
// (BUS_NUMBERS_EXHAUSTED: a VM has 256; PORTS_EXHAUSTED: more than kMaxChassis). Spare ports are dealt out
// over the roots in turn.
Result<Plan> plan_virtual_topology(const Topology& topology, std::span<const PciAddress> devices,
                                   unsigned spare_count);

// The plan as QEMU's arguments (for -machine q35; the VM has the guest's NUMA nodes by -numa) and as
// <controller> and <hostdev> elements of libvirt. Devices are vfio-pci functions.
StartArguments format_plan(const Plan& plan);

}  // namespace berth::host::topology
