// What the kernel calls the ports of an eSwitch (phys_port_name): which function is behind a representor.
//   p0         the uplink of port 0            pf0vf3     VF 3 of PF 0
//   pf0        PF 0                            c1pf0vf3   the same of controller 1 (the host, seen from a
//   DPU) pf0sf88    scalable function 88 of PF 0    p0s1       a split uplink
// Source: net/devlink/port.c, __devlink_port_phys_port_name_get().
#pragma once

#include "base/error.h"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth::host {

enum class PortKind : std::uint8_t { kUplink, kPf, kVf, kSf };

struct PortName {
  PortKind kind = PortKind::kUplink;
  std::uint32_t controller = 0;  // 0: the functions of this host, unless the eSwitch is a DPU's
  std::uint32_t pf = 0;          // of an uplink: the number of the port
  std::uint32_t number = 0;      // of a VF or SF; of a split uplink: 1 + the number of the part

  // INVALID_ARGUMENT (MALFORMED_PORT_NAME).
  static Result<PortName> parse(std::string_view text);
  static PortName vf(std::uint32_t pf, std::uint32_t number) { return {PortKind::kVf, 0, pf, number}; }
  std::string str() const;
  auto operator<=>(const PortName&) const = default;
};

}  // namespace berth::host

template <>
struct fmt::formatter<berth::host::PortName> : fmt::formatter<std::string_view> {
  auto format(const berth::host::PortName& name, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(name.str(), ctx);
  }
};
