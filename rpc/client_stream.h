// What a channel returns for a streaming call. Move or copy freely: the call is cancelled when the
// last handle is gone before it has ended.
#pragma once

#include "base/task.h"
#include "rpc/metadata.h"
#include "rpc/stream.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace berth::rpc {

// One call of ours in flight.
class ClientCall : public ByteStream {
 public:
  // Half-closes: no write() after it.
  virtual void writes_done() = 0;
  // Waits for the end of the call and returns its status; unread messages are dropped.
  virtual Task<void> finish() = 0;
  virtual void cancel() = 0;
  // Waits for the server's first headers; complete once it returns.
  virtual Task<Metadata> initial_metadata() = 0;
  // Complete after the end of the call.
  virtual const Metadata& trailing_metadata() const = 0;
};

template <typename Req, typename Resp>
class ClientStream {
 public:
  explicit ClientStream(std::shared_ptr<ClientCall> call) : call_(std::move(call)) {}

  Task<void> write(const Req& message) const { return Writer<Req>(call_).write(message); }
  void writes_done() const { call_->writes_done(); }
  // nullopt: the server ended the call with OK. Any other status comes as the error.
  Task<std::optional<Resp>> read() const { return Reader<Resp>(call_).read(); }
  // See Reader.
  Result<Next> take(Resp& message) const { return Reader<Resp>(call_).take(message); }
  Task<void> wait() const { return call_->wait_readable(); }
  Task<void> finish() const { return call_->finish(); }
  void cancel() const { call_->cancel(); }
  Task<Metadata> initial_metadata() const { return call_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return call_->trailing_metadata(); }

 private:
  std::shared_ptr<ClientCall> call_;
};

// The reading end of a server-streaming call.
template <typename Resp>
class ClientReader {
 public:
  explicit ClientReader(std::shared_ptr<ClientCall> call) : call_(std::move(call)) {}

  Task<std::optional<Resp>> read() const { return Reader<Resp>(call_).read(); }
  // See Reader.
  Result<Next> take(Resp& message) const { return Reader<Resp>(call_).take(message); }
  Task<void> wait() const { return call_->wait_readable(); }
  Task<void> finish() const { return call_->finish(); }
  void cancel() const { call_->cancel(); }
  Task<Metadata> initial_metadata() const { return call_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return call_->trailing_metadata(); }

 private:
  std::shared_ptr<ClientCall> call_;
};

// The writing end of a client-streaming call.
template <typename Req, typename Resp>
class ClientWriter {
 public:
  explicit ClientWriter(std::shared_ptr<ClientCall> call) : call_(std::move(call)) {}

  Task<void> write(const Req& message) const { return Writer<Req>(call_).write(message); }
  // Half-closes and waits for the one reply.
  Task<Resp> finish() const {
    call_->writes_done();
    return read_reply<Resp>(call_);
  }
  void cancel() const { call_->cancel(); }

 private:
  std::shared_ptr<ClientCall> call_;
};

// The one reply of a unary or client-streaming call: exactly one message and status OK.
Task<std::string> read_only_reply(std::shared_ptr<ClientCall> call);

template <typename Resp>
Task<Resp> read_reply(std::shared_ptr<ClientCall> call) {
  const auto bytes = co_await read_only_reply(std::move(call));
  if (!bytes) co_return pass(bytes);
  Resp reply;
  if (const auto parsed = parse_message(reply, *bytes); !parsed) co_return pass(parsed);
  co_return reply;
}

}  // namespace berth::rpc
