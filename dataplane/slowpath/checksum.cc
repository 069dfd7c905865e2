#include "dataplane/slowpath/checksum.h"

namespace berth::dataplane::slowpath {
namespace {

std::uint64_t sum_words(std::span<const std::uint8_t> bytes) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sum += static_cast<std::uint64_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) sum += static_cast<std::uint64_t>(bytes[i] << 8);
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  return fold(sum_words(bytes));
}

std::uint16_t checksum(const IpAddress& src, const IpAddress& dst, std::uint8_t protocol,
                       std::span<const std::uint8_t> message) {
  return fold(sum_words(src.bytes()) + sum_words(dst.bytes()) + protocol + message.size() +
              sum_words(message));
}

}  // namespace berth::dataplane::slowpath
