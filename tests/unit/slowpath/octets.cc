#include "tests/unit/slowpath/octets.h"

#include <arpa/inet.h>
#include <cctype>
#include <cstdio>
#include <stdexcept>

namespace berth::dataplane::slowpath::test {
namespace {

// The one's complement sum as RFC 1071 words it, a byte at a time.
unsigned ones_sum(const Octets& octets) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    sum += i % 2 == 0 ? octets[i] * 256U : octets[i];
    if (sum > 0xFFFF) sum -= 0xFFFF;
  }
  return sum;
}

void fill_sum(Octets& octets, std::size_t at, unsigned value) {
  octets[at] = static_cast<std::uint8_t>(value >> 8);
  octets[at + 1] = static_cast<std::uint8_t>(value);
}

Octets pseudo(const Octets& src, const Octets& dst, unsigned protocol, std::size_t length) {
  return src + dst + be32(static_cast<std::uint32_t>(length)) + be32(protocol);
}

}  // namespace

Octets hex(std::string_view text) {
  Octets octets;
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    digits += c;
    if (digits.size() < 2) continue;
    octets.push_back(static_cast<std::uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  if (!digits.empty()) throw std::invalid_argument("half an octet");
  return octets;
}

std::string to_hex(const Octets& octets) {
  std::string text;
  for (const std::uint8_t octet : octets) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", octet);
    text += digits;
  }
  return text;
}

Octets operator+(Octets left, const Octets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Octets be16(unsigned value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

Octets be32(std::uint32_t value) {
  return be16(value >> 16) + be16(value & 0xFFFF);
}

Octets mac(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ':') digits += c;
  }
  return hex(digits);
}

Octets ip(std::string_view text) {
  const std::string z(text);
  const bool is_v6 = z.find(':') != std::string::npos;
  Octets octets(is_v6 ? 16 : 4);
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, z.c_str(), octets.data()) != 1) throw std::invalid_argument(z);
  return octets;
}

Octets eth(std::string_view dst, std::string_view src, unsigned type, const Octets& payload) {
  return mac(dst) + mac(src) + be16(type) + payload;
}

Octets ipv4(std::string_view src, std::string_view dst, unsigned protocol, const Octets& payload,
            unsigned fragment) {
  Octets header = hex("4500") + be16(static_cast<unsigned>(20 + payload.size())) + hex("0001") +
                  be16(fragment) + hex("40") + Octets{static_cast<std::uint8_t>(protocol)} + hex("0000") +
                  ip(src) + ip(dst);
  fill_sum(header, 10, 0xFFFF - ones_sum(header));
  return header + payload;
}

Octets ipv6(std::string_view src, std::string_view dst, unsigned protocol, const Octets& payload,
            unsigned hop_limit) {
  return hex("60000000") + be16(static_cast<unsigned>(payload.size())) +
         Octets{static_cast<std::uint8_t>(protocol), static_cast<std::uint8_t>(hop_limit)} + ip(src) +
         ip(dst) + payload;
}

Octets udp(std::string_view src, std::string_view dst, unsigned src_port, unsigned dst_port,
           const Octets& payload) {
  const auto length = static_cast<unsigned>(8 + payload.size());
  Octets datagram = be16(src_port) + be16(dst_port) + be16(length) + be16(0) + payload;
  fill_sum(datagram, 6, 0xFFFF - ones_sum(pseudo(ip(src), ip(dst), 17, length) + datagram));
  return datagram;
}

Octets icmp(Octets message) {
  fill_sum(message, 2, 0xFFFF - ones_sum(message));
  return message;
}

Octets icmp6(std::string_view src, std::string_view dst, Octets message) {
  fill_sum(message, 2, 0xFFFF - ones_sum(pseudo(ip(src), ip(dst), 58, message.size()) + message));
  return message;
}

std::string fault_of(const Octets& frame) {
  const auto part = [&](std::size_t at, std::size_t size) {
    return Octets(frame.begin() + static_cast<std::ptrdiff_t>(at),
                  frame.begin() + static_cast<std::ptrdiff_t>(at + size));
  };
  if (frame.size() < 42) return "too short";
  if (frame[12] == 0x08 && frame[13] == 0x06) return frame.size() == 42 ? "" : "ARP of another size";
  const bool is_v4 = frame[14] >> 4 == 4;
  const std::size_t l4 = is_v4 ? 34 : 54;
  const std::size_t said = is_v4 ? frame[16] * 256U + frame[17] + 14U : frame[18] * 256U + frame[19] + 54U;
  if (said != frame.size()) return "IP length " + std::to_string(said);
  if (is_v4 && ones_sum(part(14, 20)) != 0xFFFF) return "IPv4 header checksum";
  const unsigned protocol = frame[is_v4 ? 23 : 20];
  const Octets message = part(l4, frame.size() - l4);
  if (protocol == 17 && message[4] * 256U + message[5] != message.size()) return "UDP length";
  const Octets addresses = is_v4 ? part(26, 8) : part(22, 32);
  const bool has_pseudo = protocol != 1;
  const Octets summed =
      has_pseudo ? addresses + be32(static_cast<std::uint32_t>(message.size())) + be32(protocol) + message
                 : message;
  return ones_sum(summed) == 0xFFFF ? "" : "checksum of protocol " + std::to_string(protocol);
}

}  // namespace berth::dataplane::slowpath::test
