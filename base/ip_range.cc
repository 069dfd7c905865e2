#include "base/ip_range.h"

#include <algorithm>
#include <limits>

namespace berth {
namespace {

std::unexpected<Error> malformed(std::string_view field, std::string_view text) {
  return fail_field(
      std::string(field), "MALFORMED_RANGE",
      fmt::format("'{}' is neither a prefix like 10.1.0.64/26 nor a range like 10.1.0.10-10.1.0.20", text));
}

IpAddress from_bytes(IpFamily family, const std::array<std::uint8_t, 16>& bytes) {
  if (family == IpFamily::kV6) return IpAddress::v6(bytes);
  std::uint32_t number = 0;
  for (unsigned i = 0; i < 4; ++i) number = number << 8 | bytes[i];
  return IpAddress::v4(number);
}

}  // namespace

Result<IpRange> IpRange::parse(std::string_view field, std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) {
    const auto prefix = IpPrefix::parse(field, text);
    if (!prefix) return malformed(field, text);
    return make(field, prefix->address(), prefix->last_address());
  }
  const auto first = IpAddress::parse(field, text.substr(0, dash));
  const auto last = IpAddress::parse(field, text.substr(dash + 1));
  if (!first || !last) return malformed(field, text);
  return make(field, *first, *last);
}

Result<IpRange> IpRange::make(std::string_view field, const IpAddress& first, const IpAddress& last) {
  IpRange range;
  range.first_ = first;
  range.last_ = last;
  if (first.family() != last.family() || last < first) return malformed(field, range.str());
  return range;
}

std::uint64_t IpRange::count() const {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t difference = 0;
  const std::size_t size = first_.bytes().size();
  // Byte by byte from the most significant; what does not fit 64 bits is more than can be told.
  for (std::size_t i = 0; i < size; ++i) {
    const int step = int{last_.bytes()[i]} - int{first_.bytes()[i]};
    if (difference > (kMost >> 8)) return kMost;
    difference = (difference << 8) + static_cast<std::uint64_t>(static_cast<std::int64_t>(step));
  }
  return difference == kMost ? kMost : difference + 1;
}

std::string IpRange::str() const {
  return fmt::format("{}-{}", first_, last_);
}

std::optional<IpAddress> next_address(const IpAddress& ip) {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(ip.bytes(), bytes.begin());
  for (std::size_t i = ip.bytes().size(); i-- > 0;) {
    if (++bytes[i] != 0) return from_bytes(ip.family(), bytes);
  }
  return std::nullopt;
}

}  // namespace berth
