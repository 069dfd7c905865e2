#include "agent/blob.h"

#include <algorithm>
#include <array>

namespace berth::agent {

std::string_view BlobReader::take(std::size_t size) {
  if (size > rest_.size()) {
    fail();
    rest_ = {};
    return {};
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

IpAddress BlobReader::ip() {
  const std::string_view bytes = take(number<std::uint32_t>());
  std::array<std::uint8_t, 16> copy{};
  if (bytes.size() != 4 && bytes.size() != copy.size()) {
    fail();
    return {};
  }
  std::ranges::copy(bytes, copy.begin());
  if (bytes.size() == copy.size()) return IpAddress::v6(copy);
  return IpAddress::v4(std::uint32_t{copy[0]} << 24 | std::uint32_t{copy[1]} << 16 |
                       std::uint32_t{copy[2]} << 8 | copy[3]);
}

IpPrefix BlobReader::prefix() {
  const IpAddress address = ip();
  const auto prefix = IpPrefix::make("prefix", address, number<std::uint8_t>());
  if (!prefix) fail();
  return prefix.value_or(IpPrefix());
}

MacAddress BlobReader::mac() {
  MacAddress mac;
  std::ranges::copy(take(mac.bytes.size()), mac.bytes.begin());
  return mac;
}

}  // namespace berth::agent
