// One call of a channel. The last handle's end cancels it.
#pragma once

#include "base/signal.h"
#include "rpc/client_connection.h"
#include "rpc/client_stream.h"

#include <memory>
#include <optional>
#include <string>

namespace berth::rpc {

class ChannelCall : public ClientCall, public std::enable_shared_from_this<ChannelCall> {
 public:
  struct Start {
    core::RequestHead head;
    CallDeadline deadline;
    WhenDown when_down;
  };
  ChannelCall(std::shared_ptr<ChannelParts> channel, std::shared_ptr<ClientConnection> connection,
              core::StreamId stream, Start how);
  ~ChannelCall() override;

  void on_event(core::Event::Kind kind);

  Result<Next> take(std::string& message) override;
  Task<void> wait_readable() override;
  Result<void> put(std::string message) override;
  bool is_full() const override;
  Task<void> wait_writable() override;
  void writes_done() override;
  Task<void> finish() override;
  void cancel() override;
  Task<Metadata> initial_metadata() override;
  const Metadata& trailing_metadata() const override;

  // Sends the request's headers; to be called, if write_only() is not, before anything is awaited.
  void send_head() { connection_->link().flush_now(); }
  // The one request of a call, with the headers; never waits. The call keeps it: should the server refuse
  // the call without having looked at it, it is started once again, where the reader waits.
  void write_only(std::string message);

 private:
  core::Session& session() const { return connection_->session(); }
  // Ends the call on our side, with a status of our own.
  void end_with(Error error);
  Error final_error() const;
  void set_alarm(std::chrono::steady_clock::time_point when);
  bool may_start_again() const { return request_.has_value() && session().was_refused(stream_); }
  Task<void> start_again();
  void send_only(std::string message);

  std::shared_ptr<ChannelParts> channel_;
  std::shared_ptr<ClientConnection> connection_;
  core::StreamId stream_;
  Start start_;
  std::optional<std::string> request_;  // while the call may start again
  std::optional<Deadlines::Handle> alarm_;
  std::optional<Error> local_end_;
  bool is_closed_ = false;
  Signal readable_;  // and everything else a reader waits for
  Signal writable_;
};

}  // namespace berth::rpc
