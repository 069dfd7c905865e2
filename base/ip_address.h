// IPv4 and IPv6 addresses and prefixes. Bytes are in wire order; an IPv4 address uses the first
// four bytes of the array and the rest are zero.
#pragma once

#include "base/error.h"

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth {

enum class IpFamily : std::uint8_t { kV4, kV6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // Dotted quad or RFC 4291 text; INVALID_ARGUMENT (MALFORMED_IP) otherwise. No scope ids.
  static Result<IpAddress> parse(std::string_view field, std::string_view text);
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);

  IpFamily family() const { return family_; }
  bool is_v4() const { return family_ == IpFamily::kV4; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }
  std::uint32_t v4_host_order() const;  // only for IPv4 addresses
  bool is_multicast() const;
  bool is_unspecified() const;
  std::string str() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  IpFamily family_ = IpFamily::kV4;
  std::array<std::uint8_t, 16> bytes_{};
};

class IpPrefix {
 public:
  IpPrefix() = default;  // 0.0.0.0/0

  // "10.1.0.0/24"; bits below the mask must be zero. INVALID_ARGUMENT (MALFORMED_PREFIX) otherwise.
  static Result<IpPrefix> parse(std::string_view field, std::string_view text);
  // The same of an address and a length in bits.
  static Result<IpPrefix> make(std::string_view field, const IpAddress& address, unsigned length);
  static IpPrefix host(const IpAddress& address);  // /32 or /128

  const IpAddress& address() const { return address_; }
  IpFamily family() const { return address_.family(); }
  std::uint8_t length() const { return length_; }  // bits
  bool contains(const IpAddress& address) const;
  bool contains(const IpPrefix& other) const;
  bool overlaps(const IpPrefix& other) const { return contains(other) || other.contains(*this); }
  IpAddress mask() const;
  IpAddress last_address() const;  // the broadcast address of an IPv4 subnet
  std::string str() const;
  auto operator<=>(const IpPrefix&) const = default;

 private:
  IpAddress address_;
  std::uint8_t length_ = 0;
};

}  // namespace berth

template <>
struct fmt::formatter<berth::IpAddress> : fmt::formatter<std::string_view> {
  auto format(const berth::IpAddress& ip, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(ip.str(), ctx);
  }
};
template <>
struct fmt::formatter<berth::IpPrefix> : fmt::formatter<std::string_view> {
  auto format(const berth::IpPrefix& prefix, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(prefix.str(), ctx);
  }
};
