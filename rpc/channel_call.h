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
  ChannelCall(std::shared_ptr<ChannelParts> channel, std::shared_ptr<ClientConnection> connection,
              core::StreamId stream);
  ~ChannelCall() override;

  void set_deadline(std::chrono::steady_clock::time_point when);
  void on_event(core::Event::Kind kind);

  Task<std::optional<std::string>> read() override;
  std::optional<Result<std::optional<std::string>>> try_read() override;
  Task<void> write(std::string message) override;
  void writes_done() override;
  Task<void> finish() override;
  void cancel() override;
  Task<Metadata> initial_metadata() override;
  const Metadata& trailing_metadata() const override;

  // Sends the request's headers; to be called, if write_only() is not, before anything is awaited.
  void send_head() { connection_->link().flush_now(); }
  // The one request of a call, with the headers; never waits.
  void write_only(std::string message);

 private:
  core::Session& session() const { return connection_->session(); }
  // Ends the call on our side, with a status of our own.
  void end_with(Error error);
  Error final_error() const;

  std::shared_ptr<ChannelParts> channel_;
  std::shared_ptr<ClientConnection> connection_;
  core::StreamId stream_;
  std::optional<Deadlines::Handle> deadline_;
  std::optional<Error> local_end_;
  bool is_closed_ = false;
  Signal readable_;  // and everything else a reader waits for
  Signal writable_;
};

}  // namespace berth::rpc
