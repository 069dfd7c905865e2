#include "host/netlink/link.h"

#include "host/netlink/nl_address.h"
#include "host/netlink/nl_handles.h"

#include <algorithm>
#include <cstring>
#include <net/if.h>

#include <fmt/format.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>

namespace berth::host {
namespace {

Result<std::vector<IpAddress>> read_addresses(nl_sock* socket, int ifindex) {
  nl_cache* raw = nullptr;
  if (const int code = rtnl_addr_alloc_cache(socket, &raw); code < 0) return nl_fail("list addresses", code);
  const NlCache cache(raw);
  std::vector<IpAddress> addresses;
  for (nl_object* object = nl_cache_get_first(cache.get()); object != nullptr;
       object = nl_cache_get_next(object)) {
    auto* address = reinterpret_cast<rtnl_addr*>(object);  // LIFETIME: owned by `cache`; libnl's own idiom
    if (rtnl_addr_get_ifindex(address) != ifindex) continue;
    if (const auto ip = to_ip_address(rtnl_addr_get_local(address))) addresses.push_back(*ip);
  }
  return addresses;
}

}  // namespace

Result<LinkState> read_link(const std::string& device) {
  auto socket = open_route_socket();
  if (!socket) return pass(socket);
  rtnl_link* raw = nullptr;
  if (const int code = rtnl_link_get_kernel(socket->get(), 0, device.c_str(), &raw); code < 0) {
    return fail(Code::kNotFound, "DEVICE_UNKNOWN",
                fmt::format("network device {}: {}", device, nl_geterror(code)));
  }
  const std::unique_ptr<rtnl_link, void (*)(rtnl_link*)> link(raw, rtnl_link_put);

  LinkState state;
  state.ifindex = rtnl_link_get_ifindex(link.get());
  state.mtu_bytes = rtnl_link_get_mtu(link.get());
  state.is_up = (rtnl_link_get_flags(link.get()) & IFF_UP) != 0;
  if (nl_addr* mac = rtnl_link_get_addr(link.get());
      mac != nullptr && nl_addr_get_len(mac) == state.mac.bytes.size()) {
    std::memcpy(state.mac.bytes.data(), nl_addr_get_binary_addr(mac), state.mac.bytes.size());
  }
  auto addresses = read_addresses(socket->get(), state.ifindex);
  if (!addresses) return pass(addresses, fmt::format("network device {}", device));
  state.addresses = *std::move(addresses);
  return state;
}

}  // namespace berth::host
