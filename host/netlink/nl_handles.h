// Owners for libnl's C handles, and its errors as berth::Error. The only header that shows libnl types.
#pragma once

#include "base/error.h"

#include <memory>
#include <string>

#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

namespace berth::host {

struct NlDeleter {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  void operator()(nl_cache* cache) const { nl_cache_free(cache); }
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using NlSocket = std::unique_ptr<nl_sock, NlDeleter>;
using NlCache = std::unique_ptr<nl_cache, NlDeleter>;
using NlMessage = std::unique_ptr<nl_msg, NlDeleter>;

// `code` is libnl's negative return value.
inline std::unexpected<Error> nl_fail(std::string what, int code) {
  return fail(Code::kUnavailable, "NETLINK_FAILED", what + ": " + nl_geterror(code));
}

// A connected rtnetlink socket for requests.
Result<NlSocket> open_route_socket();

}  // namespace berth::host
