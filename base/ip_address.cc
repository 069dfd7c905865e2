#include "base/ip_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace berth {
namespace {

// Bit `i` of an address counted from the most significant.
bool bit_is_set(std::span<const std::uint8_t> bytes, unsigned i) {
  return (bytes[i / 8] >> (7 - i % 8) & 1) != 0;
}

std::uint8_t family_bits(IpFamily family) {
  return family == IpFamily::kV4 ? 32 : 128;
}

IpAddress from_bytes(IpFamily family, std::span<const std::uint8_t> bytes) {
  if (family == IpFamily::kV4) {
    return IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 |
                         static_cast<std::uint32_t>(bytes[1]) << 16 |
                         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3]);
  }
  std::array<std::uint8_t, 16> all{};
  std::ranges::copy(bytes.first(16), all.begin());
  return IpAddress::v6(all);
}

std::unexpected<Error> malformed_prefix(std::string_view field, std::string_view text, std::string_view why) {
  return fail_field(std::string(field), "MALFORMED_PREFIX", fmt::format("'{}' {}", text, why));
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view field, std::string_view text) {
  IpAddress ip;
  const std::string z(text);
  if (z.size() == text.size() && z.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, z.c_str(), ip.bytes_.data()) == 1) return ip;
    ip.family_ = IpFamily::kV6;
    if (inet_pton(AF_INET6, z.c_str(), ip.bytes_.data()) == 1) return ip;
  }
  return fail_field(std::string(field), "MALFORMED_IP", fmt::format("'{}' is not an IP address", text));
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress ip;
  for (unsigned i = 0; i < 4; ++i) ip.bytes_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return ip;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress ip;
  ip.family_ = IpFamily::kV6;
  ip.bytes_ = bytes;
  return ip;
}

std::uint32_t IpAddress::v4_host_order() const {
  return static_cast<std::uint32_t>(bytes_[0]) << 24 | static_cast<std::uint32_t>(bytes_[1]) << 16 |
         static_cast<std::uint32_t>(bytes_[2]) << 8 | bytes_[3];
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (bytes_[0] & 0xF0) == 0xE0 : bytes_[0] == 0xFF;
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::uint8_t b) { return b == 0; });
}

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

Result<IpPrefix> IpPrefix::parse(std::string_view field, std::string_view text) {
  const auto malformed = [&](std::string_view why) { return malformed_prefix(field, text, why); };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return malformed("is not a prefix like 10.1.0.0/24");
  auto address = IpAddress::parse(field, text.substr(0, slash));
  if (!address) return malformed("is not a prefix like 10.1.0.0/24");
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), length);
  if (error != std::errc() || end != digits.end()) return malformed("has no valid prefix length");
  return make(field, *address, length);
}

Result<IpPrefix> IpPrefix::make(std::string_view field, const IpAddress& address, unsigned length) {
  const auto malformed = [&](std::string_view why) {
    return malformed_prefix(field, fmt::format("{}/{}", address, length), why);
  };
  if (length > family_bits(address.family())) return malformed("has no valid prefix length");
  IpPrefix prefix;
  prefix.address_ = address;
  prefix.length_ = static_cast<std::uint8_t>(length);
  for (unsigned i = length; i < family_bits(address.family()); ++i) {
    if (bit_is_set(address.bytes(), i)) return malformed("has bits set below its mask");
  }
  return prefix;
}

IpPrefix IpPrefix::host(const IpAddress& address) {
  IpPrefix prefix;
  prefix.address_ = address;
  prefix.length_ = family_bits(address.family());
  return prefix;
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (address.family() != family()) return false;
  for (unsigned i = 0; i < length_; ++i) {
    if (bit_is_set(address.bytes(), i) != bit_is_set(address_.bytes(), i)) return false;
  }
  return true;
}

bool IpPrefix::contains(const IpPrefix& other) const {
  return other.length_ >= length_ && contains(other.address_);
}

IpAddress IpPrefix::mask() const {
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned i = 0; i < length_; ++i) bytes[i / 8] |= static_cast<std::uint8_t>(0x80 >> (i % 8));
  return from_bytes(family(), bytes);
}

IpAddress IpPrefix::last_address() const {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address_.bytes(), bytes.begin());
  for (unsigned i = length_; i < family_bits(family()); ++i) {
    bytes[i / 8] |= static_cast<std::uint8_t>(0x80 >> (i % 8));
  }
  return from_bytes(family(), bytes);
}

std::string IpPrefix::str() const {
  return fmt::format("{}/{}", address_.str(), length_);
}

}  // namespace berth
