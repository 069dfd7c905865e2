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
  // nullopt inside: no more will come.
  virtual Task<std::optional<std::string>> read() = 0;
  // What read() would return at once; nullopt: it would wait. A coroutine less for each message of a
  // quick stream.
  virtual std::optional<Result<std::optional<std::string>>> try_read() = 0;
  virtual Task<void> write(std::string message) = 0;
};

// INVALID_ARGUMENT / RESOURCE_EXHAUSTED when the bytes are not such a message / the message is too big.
Result<void> parse_message(google::protobuf::MessageLite& message, const std::string& bytes);
Result<std::string> serialize_message(const google::protobuf::MessageLite& message);

template <typename T>
class Reader {
 public:
  explicit Reader(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  Task<std::optional<T>> read() const { return read_from(stream_); }

 private:
  static Task<std::optional<T>> read_from(std::shared_ptr<ByteStream> stream) {
    auto next = stream->try_read();
    if (!next) {
      auto waited = co_await stream->read();
      next.emplace(std::move(waited));
    }
    const auto& bytes = *next;
    if (!bytes) co_return pass(bytes);
    if (!*bytes) co_return std::optional<T>();
    std::optional<T> message(std::in_place);
    if (const auto parsed = parse_message(*message, **bytes); !parsed) co_return pass(parsed);
    co_return message;
  }

  std::shared_ptr<ByteStream> stream_;
};

template <typename T>
class Writer {
 public:
  explicit Writer(std::shared_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  // Returns when the message is queued and the queue is short enough for another one.
  Task<void> write(const T& message) const { return write_bytes(stream_, serialize_message(message)); }

 private:
  static Task<void> write_bytes(std::shared_ptr<ByteStream> stream, Result<std::string> bytes) {
    if (!bytes) co_return pass(bytes);
    co_return co_await stream->write(*std::move(bytes));
  }

  std::shared_ptr<ByteStream> stream_;
};

}  // namespace berth::rpc
