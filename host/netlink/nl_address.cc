#include "host/netlink/nl_address.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <sys/socket.h>

namespace berth::host {

namespace {

std::optional<IpAddress> from_wire(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 4) {
    return IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 |
                         static_cast<std::uint32_t>(bytes[1]) << 16 |
                         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3]);
  }
  if (bytes.size() == 16) {
    std::array<std::uint8_t, 16> v6{};
    std::ranges::copy(bytes, v6.begin());
    return IpAddress::v6(v6);
  }
  return std::nullopt;
}

}  // namespace

std::optional<IpAddress> to_ip_address(const nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const int family = nl_addr_get_family(address);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  return from_wire(
      {static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address)), nl_addr_get_len(address)});
}

std::optional<IpAddress> to_ip_address(const nlattr* attribute) {
  return from_wire(
      {static_cast<const std::uint8_t*>(nla_data(attribute)), static_cast<std::size_t>(nla_len(attribute))});
}

std::optional<IpAddress> to_ip_address(std::span<const std::byte> bytes) {
  // LIFETIME: copied before this returns.
  return from_wire({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

std::optional<MacAddress> to_mac_address(const nl_addr* address) {
  MacAddress mac;
  if (address == nullptr || nl_addr_get_len(address) != mac.bytes.size()) return std::nullopt;
  std::memcpy(mac.bytes.data(), nl_addr_get_binary_addr(address), mac.bytes.size());
  return mac;
}

NlAddress to_nl_address(const IpAddress& ip) {
  return {nl_addr_build(ip.is_v4() ? AF_INET : AF_INET6, ip.bytes().data(), ip.bytes().size()), nl_addr_put};
}

}  // namespace berth::host
