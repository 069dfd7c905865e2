// Netlink requests from a coroutine, each with a deadline. The kernel does what is asked inside send(), and a
// driver may take minutes for it (a mode change of the eSwitch), or never come back: so there is a thread.
//
// One thread, because the kernel does such requests one after the other anyway (rtnl, the devlink instance's
// lock). While a request hangs, those behind it fail at their own deadlines and are never sent; the caller
// knows then that nothing was done. Of the one that hangs nothing is known: read again.
//
// Single-threaded, on the executor that it was made with. Its end does not wait for a request that hangs.
#pragma once

#include "base/signal.h"
#include "base/task.h"
#include "host/netlink/exchange.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

namespace berth::host {

class NetlinkChannel {
 public:
  using Exchange = std::function<Result<NlAnswer>(NlProtocol, Bytes)>;

  explicit NetlinkChannel(asio::any_io_executor home, Exchange exchange = &host::exchange);
  ~NetlinkChannel();
  NetlinkChannel(const NetlinkChannel&) = delete;
  NetlinkChannel& operator=(const NetlinkChannel&) = delete;

  // `what` is for errors: "set the eSwitch mode of pci/0000:3b:00.0".
  //   DEADLINE_EXCEEDED NETLINK_STUCK  this request hangs in the kernel: its effect is unknown
  //   UNAVAILABLE NETLINK_BUSY         an earlier one hangs; this one was never sent
  //   UNAVAILABLE NETLINK_FAILED       no socket, or no answer on it
  // When cancelled, a request that was sent still runs to its end, and nobody learns of it.
  Task<NlAnswer> call(NlProtocol protocol, Bytes request, std::string what,
                      std::chrono::milliseconds deadline);

 private:
  struct Job;
  class Worker;

  asio::any_io_executor home_;
  std::shared_ptr<Worker> worker_;
};

}  // namespace berth::host
