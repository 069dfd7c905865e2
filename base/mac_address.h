// Ethernet addresses. Bytes are in wire order.
#pragma once

#include "base/error.h"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  // "02:00:00:00:00:01", either case; INVALID_ARGUMENT (MALFORMED_MAC) otherwise.
  static Result<MacAddress> parse(std::string_view field, std::string_view text);
  std::string str() const;
  bool is_zero() const { return *this == MacAddress{}; }
  bool is_multicast() const { return (bytes[0] & 1) != 0; }  // the group bit; broadcast included
  auto operator<=>(const MacAddress&) const = default;
};

}  // namespace berth

template <>
struct fmt::formatter<berth::MacAddress> : fmt::formatter<std::string_view> {
  auto format(const berth::MacAddress& mac, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(mac.str(), ctx);
  }
};
