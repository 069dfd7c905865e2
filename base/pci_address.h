// Address of a PCI function, as Linux writes it: domain:bus:device.function, "0000:3b:00.2".
// Source: Documentation/ABI/testing/sysfs-bus-pci.
#pragma once

#include "base/error.h"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth {

struct PciAddress {
  std::uint32_t domain = 0;  // 16 bits on most hosts, 32 behind Intel VMD
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // 0 to 31
  std::uint8_t function = 0;  // 0 to 7

  // All four parts are needed; INVALID_ARGUMENT (MALFORMED_PCI_ADDRESS) otherwise.
  static Result<PciAddress> parse(std::string_view field, std::string_view text);
  std::string str() const;
  auto operator<=>(const PciAddress&) const = default;
};

}  // namespace berth

template <>
struct fmt::formatter<berth::PciAddress> : fmt::formatter<std::string_view> {
  auto format(const berth::PciAddress& address, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(address.str(), ctx);
  }
};
