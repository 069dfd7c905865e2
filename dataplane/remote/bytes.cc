#include "dataplane/remote/bytes.h"

#include <algorithm>
#include <array>
#include <span>

namespace berth::dataplane::remote {
namespace {

std::string text_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::string bytes_of(const MacAddress& mac) {
  return text_of(mac.bytes);
}
std::string bytes_of(const IpAddress& ip) {
  return text_of(ip.bytes());
}
std::string bytes_of(const IpPrefix& prefix) {
  return bytes_of(prefix.address()) + static_cast<char>(prefix.length());
}

MacAddress FieldReader::mac(std::string_view field, const std::string& bytes) {
  MacAddress mac;
  if (bytes.size() == mac.bytes.size()) {
    std::ranges::copy(bytes, mac.bytes.begin());
  } else {
    complain(field, "is not 6 bytes");
  }
  return mac;
}

IpAddress FieldReader::ip(std::string_view field, const std::string& bytes) {
  std::array<std::uint8_t, 16> copy{};
  if (bytes.size() != 4 && bytes.size() != 16) {
    complain(field, "is not 4 or 16 bytes");
    return {};
  }
  std::ranges::copy(bytes, copy.begin());
  if (bytes.size() == 16) return IpAddress::v6(copy);
  return IpAddress::v4(std::uint32_t{copy[0]} << 24 | std::uint32_t{copy[1]} << 16 |
                       std::uint32_t{copy[2]} << 8 | copy[3]);
}

IpPrefix FieldReader::prefix(std::string_view field, const std::string& bytes) {
  if (bytes.empty()) {
    complain(field, "is empty");
    return {};
  }
  const IpAddress address = ip(field, bytes.substr(0, bytes.size() - 1));
  const auto prefix = IpPrefix::make(field, address, static_cast<std::uint8_t>(bytes.back()));
  if (prefix) return *prefix;
  complain(field, prefix.error().message);
  return {};
}

Vni FieldReader::vni(std::string_view field, std::uint32_t value) {
  const auto vni = Vni::parse(field, value);
  if (vni) return *vni;
  complain(field, vni.error().message);
  return {};
}

EswitchPort FieldReader::port(std::string_view field, std::uint32_t number) {
  if (number == 0) return EswitchPort::uplink();
  return EswitchPort::function(static_cast<std::uint16_t>(this->number<std::uint16_t>(field, number) - 1));
}

void FieldReader::complain(std::string_view field, std::string_view why) {
  if (complaint_.empty()) complaint_ = fmt::format("{}: {}", field, why);
}

}  // namespace berth::dataplane::remote
