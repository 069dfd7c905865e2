#include "base/mac_address.h"

#include <charconv>

namespace berth {

Result<MacAddress> MacAddress::parse(std::string_view field, std::string_view text) {
  MacAddress mac;
  constexpr std::size_t kTextSize = 17;
  bool well_formed = text.size() == kTextSize;
  for (std::size_t i = 0; well_formed && i < mac.bytes.size(); ++i) {
    const char* begin = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, mac.bytes[i], 16);
    well_formed = error == std::errc() && end == begin + 2 && (i == 5 || *end == ':');
  }
  if (!well_formed) {
    return fail_field(std::string(field), "MALFORMED_MAC",
                      fmt::format("'{}' is not a MAC address like 02:00:00:00:00:01", text));
  }
  return mac;
}

std::string MacAddress::str() const {
  return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

}  // namespace berth
