// One HTTP/2 connection that speaks gRPC, without any IO: bytes in, events and bytes out. Server or
// client; a stream is a call. Built on nghttp2, which stays behind this header.
//
//   session.receive(bytes, now);            // from the transport
//   for (auto event : session.take_events()) ...
//   session.write(stream, message); ...     // answer
//   session.collect(buffer, limit);         // for the transport
//
// A call lives from start() / kRequest until release(): it stays readable after HTTP/2 has closed its
// stream, and it counts against Limits::running_calls until then. Every function takes ids of calls
// that were released or never existed, and does nothing for them.
//
// LIFETIME: not movable; nghttp2 keeps a pointer to it. Not reentrant: events are handled after
// receive() has returned.
#pragma once

#include "base/error.h"
#include "rpc/core/request_head.h"
#include "rpc/limits.h"
#include "rpc/metadata.h"
#include "rpc/next.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::rpc::core {

using StreamId = std::int32_t;
using Time = std::chrono::steady_clock::time_point;

enum class Role { kServer, kClient };

struct Event {
  enum class Kind {
    kRequest,   // server: a new call; request() says which
    kHeaders,   // client: initial metadata is complete
    kReadable,  // take() has something new
    kWritable,  // unsent() fell below the write-ahead limit
    kClosed,    // the call is over: by reset or loss for a server, with its status for a client
    kPong,      // connection: an answer to ping()
    kGoaway,    // connection: the peer takes no new calls
    kReady,     // connection: the peer's SETTINGS came, HTTP/2 is up
  };
  Kind kind;
  StreamId stream = 0;
};

class Session {
 public:
  class Impl;  // session_impl.h

  Session(Role role, const Limits& limits, Time now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Transport side. An error means: send what collect() still has, then close.
  Result<void> receive(std::span<const std::uint8_t> bytes, Time now);
  std::vector<Event> take_events();
  bool has_events() const;
  bool wants_write() const;
  // Appends frames until `into` has at least `limit` bytes or there is no more; may exceed it by one frame.
  Result<void> collect(std::string& into, std::size_t limit);
  // Neither reads nor writes any more.
  bool is_over() const;
  // The transport is gone: every call ends with `reason`.
  void abandon(const Error& reason);

  // Connection.
  void ping();
  // Two steps of a graceful end: tell that no new calls should come, then (a round trip later) that
  // none will be taken. Running calls go on.
  void announce_shutdown();
  void shut_down();
  // At once, with a reason for the peer's log.
  void terminate(std::uint32_t http2_code);
  std::size_t call_count() const;

  // Calls, both sides.
  // The next message, moved into `message`; the error is why no more will come.
  Result<Next> take(StreamId stream, std::string& message);
  void write(StreamId stream, std::string message);
  // Message bytes not yet taken by HTTP/2: of one call, of all.
  std::size_t unsent(StreamId stream) const;
  std::size_t unsent() const;
  void reset(StreamId stream, std::uint32_t http2_code);
  // The caller is done with it; a stream still open is reset.
  void release(StreamId stream);

  // Server.
  RequestHead take_request(StreamId stream);
  // Optional; write() and finish() send empty ones otherwise. Ignored when already sent.
  void send_headers(StreamId stream, const Metadata& initial);
  void finish(StreamId stream, const Result<void>& status, const Metadata& trailing);
  // Why a call was closed before finish().
  Error closing_error(StreamId stream) const;

  // Client.
  Result<StreamId> start(const RequestHead& head);
  void half_close(StreamId stream);
  bool can_start() const;                   // false after kGoaway, or when stream ids are used up
  bool has_headers(StreamId stream) const;  // initial_metadata() is complete
  const Metadata& initial_metadata(StreamId stream) const;
  const Metadata& trailing_metadata(StreamId stream) const;
  // The server has closed the call without having looked at it (REFUSED_STREAM, or beyond the last call
  // of its GOAWAY): to start it again is safe.
  bool was_refused(StreamId stream) const;
  // OK or the error; only after kClosed.
  Result<void> status(StreamId stream) const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::rpc::core
