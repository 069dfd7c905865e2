// The eSwitch of a NIC through devlink: its modes, its ports, the functions behind them.
//
// A mode change is maintenance: on a ConnectX it takes the uplink down for seconds, makes all representors
// anew, and must not happen while a VM has a function. List the ports again after it.
#pragma once

#include "host/netlink/devlink_messages.h"
#include "host/netlink/netlink_channel.h"

#include <chrono>

namespace berth::host {

class Devlink {
 public:
  // Of mode changes: firmware commands take up to a minute each (mlx5, lib/tout.c). All else answers at once.
  static constexpr std::chrono::milliseconds kModeDeadline = std::chrono::seconds(180);
  static constexpr std::chrono::milliseconds kDeadline = std::chrono::seconds(10);

  explicit Devlink(NetlinkChannel& channel) : channel_(channel) {}

  // Errors of all: NOT_FOUND (DEVLINK_UNKNOWN) no such device or port; FAILED_PRECONDITION (DEVLINK_REFUSED)
  // with the driver's words, (DEVLINK_UNSUPPORTED) its driver has no such thing, (ESWITCH_BUSY) someone uses
  // it; and what NetlinkChannel::call() says. errno is in metadata "errno".
  Task<EswitchState> read_eswitch(DevlinkDevice device);

  // Returns when the device, read back, has it. Idempotent: what is so already is not asked for.
  // UNAVAILABLE (ESWITCH_NOT_AS_ASKED) when the driver said yes and did something else.
  Task<void> ensure_eswitch(DevlinkDevice device, EswitchChange wanted);

  Task<std::vector<DevlinkPort>> list_ports(DevlinkDevice device);
  Task<DevlinkPort> find_port(DevlinkDevice device, PortName name);

  // MAC and state of the function behind a port; read back. To be set before the function's driver probes.
  // FAILED_PRECONDITION (PORT_FUNCTION_NOT_AS_ASKED).
  Task<void> ensure_function(DevlinkDevice device, PortName name, PortFunction wanted);

  // What the function may send; read back. FAILED_PRECONDITION (PORT_RATE_NOT_AS_ASKED).
  Task<PortRate> read_rate(DevlinkDevice device, PortName name);
  Task<void> ensure_rate(DevlinkDevice device, PortName name, PortRate wanted);

  // FAILED_PRECONDITION (DEVLINK_UNSUPPORTED) on a kernel without devlink.
  Task<GenericFamily> family();

 private:
  Task<NlAnswer> ask(Bytes request, std::string what, std::chrono::milliseconds deadline = kDeadline);

  NetlinkChannel& channel_;
  std::optional<GenericFamily> family_;
};

}  // namespace berth::host
