// The functions of a NIC's eSwitch and the host's ends of them, at the start: every VF of a PF in switchdev
// mode has a representor, found by the switch and the port's name, hardened, and up.
//
// Proven on netdevsim (the lab) and on recorded shapes of answers. No ConnectX has ever been behind it.
#pragma once

#include "host/netlink/devlink.h"
#include "host/netlink/representors.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::host {

// VF `vf` of the PF, and what stands for it on the host.
struct FunctionPort {
  std::uint16_t vf = 0;
  Link representor;                 // as it was found
  std::vector<std::string> undone;  // what somebody else had made of it: Representors::ensure_hardened()
};

struct EswitchPorts {
  std::optional<EswitchMode> mode;      // not set: the NIC has no eSwitch that could be asked
  std::vector<FunctionPort> functions;  // in order of `vf`; none but in switchdev mode
};

// Of VFs 0 to `count` - 1. Changes no mode: that is maintenance (switchdev.h). Each representor is up with
// the MTU of the uplink. Idempotent.
//   NOT_FOUND            REPRESENTOR_UNKNOWN    in switchdev mode, and a VF or the uplink has no network
//   device FAILED_PRECONDITION  REPRESENTOR_AMBIGUOUS  two controllers (a DPU and its host) have a VF of this
//   number
// and errors of Devlink and Representors. LIFETIME: both outlive the call.
Task<EswitchPorts> ensure_ports(Devlink& devlink, Representors& representors, DevlinkDevice device,
                                std::uint16_t count);

}  // namespace berth::host
