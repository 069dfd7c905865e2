// Reads big-endian fields off bytes of foreign origin. A read past the end yields zeros and is remembered:
// a parser reads all it needs and asks once, at the end, whether that was there.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace berth::dataplane::slowpath {

using Bytes = std::span<const std::uint8_t>;

class WireReader {
 public:
  // LIFETIME: borrows `bytes`; what bytes() and rest() return points into them.
  explicit WireReader(Bytes bytes) : rest_(bytes) {}

  bool is_intact() const { return is_intact_; }  // nothing was read that was not there
  bool is_empty() const { return rest_.empty(); }
  Bytes rest() const { return rest_; }

  Bytes bytes(std::size_t count) {
    if (count > rest_.size()) {
      is_intact_ = false;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  void skip(std::size_t count) { (void)bytes(count); }

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u24() { return number(3); }
  std::uint32_t u32() { return number(4); }
  MacAddress mac() { return {.bytes = array<6>()}; }
  IpAddress ipv4() { return IpAddress::v4(u32()); }
  IpAddress ipv6() { return IpAddress::v6(array<16>()); }

 private:
  std::uint32_t number(std::size_t width) {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : bytes(width)) value = value << 8 | byte;
    return value;
  }
  template <std::size_t kSize>
  std::array<std::uint8_t, kSize> array() {
    std::array<std::uint8_t, kSize> value{};
    std::ranges::copy(bytes(kSize), value.begin());
    return value;
  }

  Bytes rest_;
  bool is_intact_ = true;
};

}  // namespace berth::dataplane::slowpath
