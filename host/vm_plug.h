// Gives a device to a VM and takes it back, whatever the VMM. Every call is idempotent.
#pragma once

#include "base/ids.h"
#include "base/mac_address.h"
#include "base/task.h"
#include "host/pci_address.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace berth::host {

// A function of the host that vfio-pci owns.
struct VfioDevice {
  PciAddress address;
};
// A virtio-net whose far end is a socket that the eSwitch listens on.
struct VhostUserDevice {
  std::string socket;
  MacAddress mac;
};

struct VmDevice {
  std::string id;  // unique in the VM, a name that QEMU takes: "berth-vf3"
  std::variant<VfioDevice, VhostUserDevice> device;
};

// What starts a VM with the device in it, for one that does not run yet.
struct StartArguments {
  std::vector<std::string> qemu;  // arguments in order: "-device", "vfio-pci,host=..."
  std::string libvirt_xml;        // element for <devices>
};

struct PlugOutcome {
  std::string detail;
  std::optional<StartArguments> at_start;  // set: the VM does not run; it gets the device when it starts
};

class VmPlug {
 public:
  virtual ~VmPlug() = default;

  // Returns when the VM's side has confirmed that the device is there. FAILED_PRECONDITION (NO_FREE_SLOT)
  // when no hotplug port is free, UNAVAILABLE (VMM_UNREACHABLE), FAILED_PRECONDITION (DEVICE_REFUSED) with
  // the VMM's own words.
  virtual Task<PlugOutcome> plug(VmId vm, VmDevice device) = 0;

  // Returns when the VM has provably lost the device; a VM that does not run, or never had it, has.
  // DEADLINE_EXCEEDED (GUEST_IGNORES_UNPLUG): the guest still has it, and nobody else may.
  virtual Task<std::string> unplug(VmId vm, std::string device_id) = 0;
};

}  // namespace berth::host
