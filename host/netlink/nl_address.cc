#include "host/netlink/nl_address.h"

#include <array>
#include <cstring>
#include <sys/socket.h>

namespace berth::host {

std::optional<IpAddress> to_ip_address(const nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
  if (nl_addr_get_family(address) == AF_INET && nl_addr_get_len(address) == 4) {
    return IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 |
                         static_cast<std::uint32_t>(bytes[1]) << 16 |
                         static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3]);
  }
  if (nl_addr_get_family(address) == AF_INET6 && nl_addr_get_len(address) == 16) {
    std::array<std::uint8_t, 16> v6{};
    std::memcpy(v6.data(), bytes, v6.size());
    return IpAddress::v6(v6);
  }
  return std::nullopt;
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
