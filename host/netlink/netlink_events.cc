#include "host/netlink/netlink_events.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace berth::host {

Result<std::unique_ptr<NetlinkEvents>> NetlinkEvents::open(const asio::any_io_executor& executor,
                                                           NlProtocol protocol, std::uint32_t group) {
  NlSocket socket(nl_socket_alloc());
  if (!socket) return fail(Code::kResourceExhausted, "NETLINK_FAILED", "no memory for a netlink socket");
  if (const int code = nl_connect(socket.get(), static_cast<int>(protocol)); code < 0)
    return nl_fail("connect to netlink", code);
  if (const int code = nl_socket_add_membership(socket.get(), static_cast<int>(group)); code < 0)
    return nl_fail("join the group of notifications", code);
  if (const int code = nl_socket_set_nonblocking(socket.get()); code < 0)
    return nl_fail("set non-blocking", code);
  std::unique_ptr<NetlinkEvents> events(new NetlinkEvents(executor, std::move(socket)));
  boost::system::error_code error;
  events->readable_.assign(nl_socket_get_fd(events->socket_.get()), error);
  if (error) return fail(Code::kUnavailable, "NETLINK_FAILED", error.message());
  return events;
}

Result<std::unique_ptr<NetlinkEvents>> NetlinkEvents::open_links(asio::any_io_executor executor) {
  return open(executor, NlProtocol::kRoute, RTNLGRP_LINK);
}

Result<std::unique_ptr<NetlinkEvents>> NetlinkEvents::open_devlink(asio::any_io_executor executor,
                                                                   const GenericFamily& devlink) {
  return open(executor, NlProtocol::kGeneric, devlink.config_group);
}

Task<void> NetlinkEvents::wait_for_change() {
  const auto [error] = co_await readable_.async_wait(asio::posix::stream_descriptor::wait_read, kAsTuple);
  if (error) co_return fail(Code::kCancelled, "", "cancelled while waiting for changes");
  // Only that something came matters. ENOBUFS means that more came than fits: reading goes on behind it.
  std::byte dropped[64];
  const int descriptor = nl_socket_get_fd(socket_.get());
  while (recv(descriptor, dropped, sizeof dropped, MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
  co_return Result<void>();
}

}  // namespace berth::host
