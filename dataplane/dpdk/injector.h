// Frames of the agent's in front of a DPDK eSwitch's rules. The software eSwitch's driver takes them; a NIC
// takes what a port sends from that port alone (docs/probe.md says how it would be done there).
#pragma once

#include "base/error.h"
#include "dataplane/eswitch.h"

#include <cstdint>
#include <span>
#include <vector>

struct rte_mempool;

namespace berth::dataplane::dpdk {

class Injector {
 public:
  // `ports` are all of the eSwitch's, by EswitchPort::number(), started. Call from the control thread.
  // RESOURCE_EXHAUSTED (PORT_FAILED).
  static Result<Injector> make(const std::vector<PortState>& ports);

  // As Eswitch::inject(). From one thread at a time, whichever.
  Result<void> inject(std::span<const InjectedFrame> frames);

 private:
  Injector() = default;
  Result<void> check(std::span<const InjectedFrame> frames) const;
  Result<void> inject_from(std::uint16_t ethdev_port_id, std::span<const InjectedFrame> frames);

  std::vector<std::uint16_t> ethdev_port_ids_;  // by EswitchPort::number()
  // LIFETIME: until EAL ends: the eSwitch may hold a packet of it for as long as its ports live.
  rte_mempool* packets_ = nullptr;
};

}  // namespace berth::dataplane::dpdk
