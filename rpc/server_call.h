// One call on the server: the byte stream its handler reads and writes, its deadline, its end.
//
//   running --handler returns--> ended                      (status sent)
//   running --deadline--> answered --handler returns--> ended    (DEADLINE_EXCEEDED sent at once)
//   running --reset, connection lost--> abandoned --handler returns--> ended   (nobody to tell)
// In the last two the handler is cancelled.
#pragma once

#include "base/signal.h"
#include "rpc/call_state.h"
#include "rpc/deadlines.h"
#include "rpc/method_table.h"
#include "rpc/net/link.h"

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/cancellation_signal.hpp>

namespace berth::rpc {

class ServerCall : public ByteStream, public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(asio::any_io_executor executor, std::shared_ptr<net::Link> link, core::StreamId stream,
             std::shared_ptr<CallState> state, const Limits& limits);

  Result<Next> take(std::string& message) override;
  Task<void> wait_readable() override;
  Result<void> put(std::string message) override;
  bool is_full() const override;
  Task<void> wait_writable() override;

  // Runs the handler and sends its status. Never throws.
  asio::awaitable<void> run(const Method& method);
  asio::cancellation_slot cancellation_slot() { return cancellation_.slot(); }

  void wake_reader() { readable_.notify_all(); }
  void wake_writer() { writable_.notify_all(); }
  // The client has gone.
  void abandon();
  void on_deadline();
  // After the handler has ended: nothing can be done with this call any more.
  void release();

 private:
  void finish(const Result<void>& status);
  void send_initial_metadata();

  std::shared_ptr<net::Link> link_;
  core::StreamId stream_;
  std::shared_ptr<CallState> state_;
  const Limits& limits_;
  Signal readable_;
  Signal writable_;
  asio::cancellation_signal cancellation_;
  bool is_answered_ = false;
};

}  // namespace berth::rpc
