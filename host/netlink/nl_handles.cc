#include "host/netlink/nl_handles.h"

#include <linux/netlink.h>

namespace berth::host {

Result<NlSocket> open_route_socket() {
  NlSocket socket(nl_socket_alloc());
  if (!socket) return fail(Code::kResourceExhausted, "NETLINK_FAILED", "no memory for a netlink socket");
  if (const int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0)
    return nl_fail("connect to rtnetlink", code);
  return socket;
}

}  // namespace berth::host
