// A message of the kernel about one of its objects, as NETLINK_KOBJECT_UEVENT carries it:
//   add@/devices/pci0000:00/0000:00:02.0 NUL ACTION=add NUL DEVPATH=... NUL SUBSYSTEM=pci NUL ... SEQNUM=7
//   NUL
// Source: lib/kobject_uevent.c, drivers/pci/pci-driver.c (pci_uevent). Bytes in, value out.
#pragma once

#include "base/error.h"
#include "host/pci_address.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::host {

struct Uevent {
  // What other actions there are (move, online, ...) does not matter here.
  enum class Action : std::uint8_t { kAdd, kRemove, kBind, kUnbind, kChange, kOther };
  Action action = Action::kOther;
  std::optional<PciAddress> function;  // of subsystem pci only
  std::uint64_t number = 0;            // of all uevents since the kernel started; 0: not told
};

// INVALID_ARGUMENT (MALFORMED_UEVENT) for what the kernel does not write.
Result<Uevent> parse_uevent(std::string_view message);

}  // namespace berth::host
