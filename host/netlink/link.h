// A network device of the host as the kernel describes it now (rtnetlink RTM_GETLINK, RTM_GETADDR).
#pragma once

#include "base/error.h"
#include "base/ip_address.h"
#include "base/mac_address.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::host {

struct LinkState {
  int ifindex = 0;
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;
  bool is_up = false;  // administratively
  std::vector<IpAddress> addresses;
};

// NOT_FOUND (DEVICE_UNKNOWN) when there is no such device. Does not wait for anything but the kernel.
Result<LinkState> read_link(const std::string& device);

}  // namespace berth::host
