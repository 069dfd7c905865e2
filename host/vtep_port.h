// Claims the VXLAN port of the tunnel address in the kernel. With the software eSwitch the kernel sees
// a copy of every packet from the wire: without an owner of the port it would answer each tunnelled
// packet with "port unreachable", and a kernel VXLAN device on the same address would fight with us.
#pragma once

#include "base/error.h"
#include "base/ip_address.h"

#include <cstdint>

namespace berth::host {

class VtepPort {
 public:
  // FAILED_PRECONDITION (VTEP_PORT_TAKEN) when something else has it.
  static Result<VtepPort> claim(const IpAddress& vtep, std::uint16_t udp_port);
  ~VtepPort();
  VtepPort(VtepPort&& other) noexcept;
  VtepPort& operator=(VtepPort&&) = delete;

 private:
  explicit VtepPort(int socket) : socket_(socket) {}
  int socket_;  // its filter drops everything before it is queued
};

}  // namespace berth::host
