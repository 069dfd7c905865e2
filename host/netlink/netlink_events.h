// "Something about links, or about devlink, has changed." Notifications may be lost, so they carry nothing
// here: who is woken reads again.
//
// Single-threaded, on the executor it was made with. Outlives its waiters.
#pragma once

#include "base/task.h"
#include "host/netlink/devlink_messages.h"
#include "host/netlink/nl_handles.h"

#include <memory>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace berth::host {

class NetlinkEvents {
 public:
  // UNAVAILABLE (NETLINK_FAILED).
  static Result<std::unique_ptr<NetlinkEvents>> open_links(asio::any_io_executor executor);
  static Result<std::unique_ptr<NetlinkEvents>> open_devlink(asio::any_io_executor executor,
                                                             const GenericFamily& devlink);
  ~NetlinkEvents() { (void)readable_.release(); }  // the descriptor belongs to socket_

  // Returns when something has changed since the last call; at once when it has already.
  Task<void> wait_for_change();

 private:
  NetlinkEvents(const asio::any_io_executor& executor, NlSocket socket)
      : socket_(std::move(socket)), readable_(executor) {}
  static Result<std::unique_ptr<NetlinkEvents>> open(const asio::any_io_executor& executor,
                                                     NlProtocol protocol, std::uint32_t group);

  NlSocket socket_;
  asio::posix::stream_descriptor readable_;
};

}  // namespace berth::host
