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
  // Unique among our devices of one VM, below 128: numbers the root port that it starts with.
  std::uint8_t number = 0;
  // Functions of the host that the VM has, GPUs say: it gets the port nearest to them.
  std::vector<PciAddress> near = {};
};

// What starts a VM with the device in it.
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

  // Returns when the VM's side has confirmed that the device is there. FAILED_PRECONDITION: NO_FREE_SLOT (no
  // hotplug port is free), DEVICE_REFUSED (with the VMM's own words), MEMORY_NOT_SHARED (vhost-user cannot
  // work), DEVICE_ID_TAKEN (the VM has another device of this id). UNAVAILABLE (VMM_UNREACHABLE,
  // VMM_HUNG_UP): nothing is known, the VM may have got it.
  virtual Task<PlugOutcome> plug(VmId vm, VmDevice device) = 0;

  // Returns when the VM has provably lost the device; a VM that does not run, or never had it, has. After an
  // error the VM still has it, or may have, and nobody else may: DEADLINE_EXCEEDED (GUEST_IGNORES_UNPLUG),
  // FAILED_PRECONDITION (UNPLUG_REFUSED) with the VMM's own words, UNAVAILABLE (VMM_UNREACHABLE,
  // VMM_HUNG_UP).
  virtual Task<std::string> unplug(VmId vm, std::string device_id) = 0;

  // The VM runs, and does not have the device. UNAVAILABLE (VMM_UNREACHABLE, VMM_HUNG_UP).
  virtual Task<bool> lacks(VmId vm, std::string device_id) = 0;
};

}  // namespace berth::host
