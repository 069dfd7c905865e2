// Plugs devices into VMs of QEMU, over each VM's own monitor (QMP).
//
// What counts is what QEMU says afterwards, not that a command returned: a device is plugged when QEMU's
// object model has it on the port it was meant for, and lost when the object is gone. Nothing is remembered
// between calls; a restarted agent, a restarted QEMU and a lost event are all answered by looking again.
//
// unplug:  look --gone--> done
//          look --there--> device_del --accepted, "in the process", guest busy--> wait --event, time--> look
//                          device_del --refused--> UNPLUG_REFUSED
//          the last wait over --> look once more --there--> GUEST_IGNORES_UNPLUG
#pragma once

#include "base/task_group.h"
#include "host/qemu/vm_monitor.h"
#include "host/qemu/vm_tree.h"
#include "host/vm_plug.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>

namespace berth::host::qemu {

struct QemuSettings {
  std::string monitor;  // "/run/berth/vm/{vm}/qmp.sock"
  std::string ports;    // only hotplug ports whose id starts so; "": any
  // For its greeting, and for any reply. QEMU answers within milliseconds, but not while it pins a large VM's
  // memory for its first vfio device.
  std::chrono::milliseconds answer_wait{30000};
  // A guest takes 0.3 to 8 s (ACPI, native hotplug), and forgets a request while it boots.
  std::chrono::milliseconds unplug_wait{20000};
  unsigned unplug_attempts = 8;
};

class QemuPlug : public VmPlug {
 public:
  QemuPlug(asio::any_io_executor executor, QemuSettings settings);

  Task<PlugOutcome> plug(VmId vm, VmDevice device) override;
  Task<std::string> unplug(VmId vm, std::string device_id) override;
  Task<bool> lacks(VmId vm, std::string device_id) override;

  // After the last call has ended, before destruction.
  asio::awaitable<void> stop();

 private:
  struct Departure;
  enum class Intent : bool { kAsk, kLookOnly };

  Result<std::shared_ptr<VmMonitor>> monitor_of(const VmId& vm);
  Task<PlugOutcome> plug_into(QmpConnection& connection, VmDevice device);
  Task<std::string> add(QmpConnection& connection, VmDevice device);
  Task<void> verify(QmpConnection& connection, std::string device_id, std::string port);
  Task<void> check_same(QmpConnection& connection, VmDevice device, QomItem found);
  Task<void> add_backends(QmpConnection& connection, std::string device_id, VhostUserDevice device);
  Task<void> remove_backends(QmpConnection& connection, std::string device_id);

  // The name the VM knows the device by, "" when it has none of it.
  Task<QomItem> find_device(QmpConnection& connection, std::string device_id);
  Task<Departure> ask_to_leave(VmMonitor& monitor, std::string device_id, Intent intent);
  Task<void> await_change(Departure departure);

  asio::any_io_executor executor_;
  QemuSettings settings_;
  TaskGroup readers_;
  std::map<VmId, std::weak_ptr<VmMonitor>> monitors_;
};

}  // namespace berth::host::qemu
