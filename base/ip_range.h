// Addresses of one family from one to another, both ends included.
#pragma once

#include "base/ip_address.h"

#include <optional>

namespace berth {

class IpRange {
 public:
  IpRange() = default;  // 0.0.0.0 alone

  // A prefix, "10.1.0.64/26", or the two ends, "10.1.0.10-10.1.0.20". INVALID_ARGUMENT (MALFORMED_RANGE)
  // otherwise.
  static Result<IpRange> parse(std::string_view field, std::string_view text);
  // INVALID_ARGUMENT (MALFORMED_RANGE) when they are of two families, or `last` stands before `first`.
  static Result<IpRange> make(std::string_view field, const IpAddress& first, const IpAddress& last);

  const IpAddress& first() const { return first_; }
  const IpAddress& last() const { return last_; }
  bool contains(const IpAddress& ip) const {
    return ip.family() == first_.family() && first_ <= ip && ip <= last_;
  }
  bool overlaps(const IpRange& other) const {
    return first_.family() == other.first_.family() && first_ <= other.last_ && other.first_ <= last_;
  }
  // How many addresses; 2^64 - 1 for about that many and more.
  std::uint64_t count() const;
  std::string str() const;  // "10.1.0.10-10.1.0.20"
  auto operator<=>(const IpRange&) const = default;

 private:
  IpAddress first_;
  IpAddress last_;
};

// The next address; nothing behind the last one of the family.
std::optional<IpAddress> next_address(const IpAddress& ip);

}  // namespace berth

template <>
struct fmt::formatter<berth::IpRange> : fmt::formatter<std::string_view> {
  auto format(const berth::IpRange& range, format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(range.str(), ctx);
  }
};
