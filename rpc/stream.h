// Typed ends of a call's two message streams, as handlers see them. Cheap handles of one call.
//
//   while (true) {
//     auto request = co_await requests.read();
//     if (!request) co_return pass(request);       // reset, deadline, or over a limit
//     if (!*request) break;                        // the peer has half-closed
//     auto written = co_await replies.write(answer(**request));   // waits while the peer is slow
//     if (!written) co_return pass(written);
//   }
//
// One reader and one writer at a time; they may be two coroutines.
#pragma once

#include "base/task.h"
#include "rpc/next.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace google::protobuf {
class MessageLite;
}

namespace berth::rpc {

// Messages as bytes; implemented by either side's call.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Never waits. kMessage: it was moved into `message`.
  virtual Result<Next> take(std::string& message) = 0;
  // Returns when take() may find more; CANCELLED when the waiting coroutine is cancelled.
  virtual Task<void> wait_readable() = 0;
  // Queues a message and never waits; fails when the call is over. The queue is_full() when its writer
  // should wait_writable() before the next one.
  virtual Result<void> put(std::string message) = 0;
  virtual bool is_full() const = 0;
  // As wait_readable(); fails also when the call is over.
  virtual Task<void> wait_writable() = 0;
};

// Waits for the next message; nullopt: no more will come.
Task<std::optional<std::string>> read_bytes(std::shared_ptr<ByteStream> stream);
// Returns when the queue is short enough for another message.
Task<void> wait_for_room(std::shared_ptr<ByteStream> stream);

// INVALID_ARGUMENT / RESOURCE_EXHAUSTED when the bytes are not such a message / the message is too big.
Result<void> parse_message(google::protobuf::MessageLite& message, const std::string& bytes);
Result<std::string> serialize_message(const google::protobuf::MessageLite& message);

template <typename T>
class Reader {
 public:
  explicit Reader(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  // Waits; nullopt: no more will come.
  Task<std::optional<T>> read() const { return read_from(stream_); }

  // For quick streams: takes what has come without a coroutine for each message, and uses the memory of
  // `message` again.
  //
  //   while (true) {
  //     const auto next = reader.take(message);
  //     if (!next) co_return pass(next);
  //     if (*next == Next::kEnd) break;
  //     if (*next == Next::kMessage) use(message);
  //     else (void)co_await reader.wait();
  //   }
  Result<Next> take(T& message) const {
    std::string bytes;
    auto next = stream_->take(bytes);
    if (!next || *next != Next::kMessage) return next;
    if (const auto parsed = parse_message(message, bytes); !parsed) return pass(parsed);
    return next;
  }
  Task<void> wait() const { return stream_->wait_readable(); }

 private:
  static Task<std::optional<T>> read_from(std::shared_ptr<ByteStream> stream) {
    const Reader reader(std::move(stream));
    Result<std::optional<T>> message(std::in_place, std::in_place);
    while (true) {
      const auto next = reader.take(**message);
      if (!next) co_return pass(next);
      if (*next == Next::kMessage) co_return message;
      if (*next == Next::kEnd) co_return std::optional<T>();
      const auto woken = co_await reader.wait();
      if (!woken) co_return pass(woken);
    }
  }

  std::shared_ptr<ByteStream> stream_;
};

template <typename T>
class Writer {
 public:
  explicit Writer(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  // Returns when the message is queued and the queue is short enough for another one.
  Task<void> write(const T& message) const { return write_bytes(stream_, serialize_message(message)); }

  // The two halves of write(), for quick streams: put() without a coroutine for each message, and wait()
  // when the stream is_full().
  Result<void> put(const T& message) const {
    auto bytes = serialize_message(message);
    if (!bytes) return pass(bytes);
    return stream_->put(*std::move(bytes));
  }
  bool is_full() const { return stream_->is_full(); }
  Task<void> wait() const { return wait_for_room(stream_); }

 private:
  static Task<void> write_bytes(std::shared_ptr<ByteStream> stream, Result<std::string> bytes) {
    if (!bytes) co_return pass(bytes);
    const auto queued = stream->put(*std::move(bytes));
    if (!queued || !stream->is_full()) co_return queued;
    co_return co_await wait_for_room(stream);
  }

  std::shared_ptr<ByteStream> stream_;
};

}  // namespace berth::rpc
