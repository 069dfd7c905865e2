// The host side of an agent, put together as the configuration wants it: what a function of the eSwitch is on
// this host, and which of its devices VMs may have.
#pragma once

#include "agent/config.h"
#include "agent/state_db.h"
#include "base/task_group.h"
#include "host/function_driver.h"
#include "host/host_devices.h"
#include "host/netlink/netlink_channel.h"
#include "host/passthrough.h"
#include "host/vm_plug.h"

#include <memory>

namespace berth::agent {

class HostSide {
 public:
  // What it refers to outlives it.
  HostSide(asio::any_io_executor executor, const Config& config, host::VmPlug& vms,
           host::NetlinkChannel& netlink);
  ~HostSide();

  host::FunctionDriver& driver();
  host::Passthrough& passthrough();
  const host::HostDevices& devices() const;

  // Before the agent starts: VFs are there, made if need be (but never those of a NIC whose eSwitch is open);
  // where their PF is in switchdev mode, their representors are hardened and up; uevents are listened to.
  // Errors of Sriov::ensure_vfs() and ensure_ports().
  Task<void> start(const SavedState& saved);
  asio::awaitable<void> stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::agent
