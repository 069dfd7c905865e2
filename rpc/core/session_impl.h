// The inside of Session, shared by its source files: session.cc (connection and transport),
// session_callbacks.cc (what nghttp2 reports), session_calls.cc (what callers do with a call),
// session_streams.cc (how a call begins and ends).
#pragma once

#include "rpc/core/byte_budget.h"
#include "rpc/core/credit_bucket.h"
#include "rpc/core/inbound.h"
#include "rpc/core/outbound.h"
#include "rpc/core/response_head.h"
#include "rpc/core/session.h"

#include <deque>
#include <unordered_map>

#include <nghttp2/nghttp2.h>

namespace berth::rpc::core {

// One call. Kept until HTTP/2 has closed the stream and the caller has released it.
struct Stream {
  Stream(StreamId stream_id, Inbound::Options options, ByteBudget& budget)
      : id(stream_id), in(options, budget) {}

  StreamId id;
  Inbound in;
  std::uint64_t counted_messages = 0;  // of in.completed_count()
  std::size_t credit = 0;              // of messages taken, not given back yet
  Outbound out;
  std::size_t header_bytes = 0;            // of the block being received, as RFC 9113 counts
  std::unique_ptr<RequestParser> request;  // server, until the request was taken
  std::unique_ptr<ResponseHead> response;  // client
  std::optional<Error> failure;            // why reading failed, or why a server call was closed
  std::vector<HeaderField> trailers;       // none: status OK and nothing else

  bool is_announced = false;  // the caller knows of it (server: kRequest, client: start)
  bool is_released = false;   // the caller has forgotten it
  bool is_gzip = false;       // compressed messages of the peer
  bool headers_sent = false;  // ours
  bool is_finishing = false;  // nothing will be added to `out`
  bool remote_ended = false;  // the peer has half-closed
  bool is_over_header_limit = false;
  bool is_closed = false;   // by HTTP/2
  bool is_refused = false;  // client: nothing of it was processed
};

class Session::Impl {
 public:
  Impl(Role role, const Limits& limits, Time now);
  ~Impl();

  bool is_server() const { return role == Role::kServer; }
  Stream* find(StreamId id);
  Stream& add_stream(StreamId id);
  void push_event(Event::Kind kind, StreamId id) { events.push_back({.kind = kind, .stream = id}); }
  // Takes `credits` for a frame that cost the peer nothing; false: it floods, and the session ends.
  bool charge(std::uint32_t credits);
  bool charge_reset();
  void submit_headers(Stream& stream, std::span<const nghttp2_nv> fields, bool has_body);
  void submit_trailers(Stream& stream);
  // A response in HTTP's or gRPC's own words, without a handler.
  void refuse(Stream& stream, const RequestParser::Refusal& refusal);
  void judge_request(Stream& stream);
  void end_response_block(Stream& stream, bool is_end_of_stream);
  void end_remote(Stream& stream);
  void close(Stream& stream, std::uint32_t http2_code);
  void give_credit(StreamId id, std::size_t bytes);
  void give_credit_of_taken(Stream& stream, std::size_t bytes);
  void resume_stalled();
  void forget_if_done(Stream& stream);

  Role role;
  Limits limits;
  Time now;
  nghttp2_session* session = nullptr;
  std::vector<Event> events;
  ByteBudget inbound;
  CreditBucket control;
  CreditBucket resets;
  std::deque<StreamId> stalled;  // wait for room in `inbound`, in order
  std::size_t unsent_bytes = 0;
  std::size_t running_calls = 0;
  std::optional<Error> doom;  // why the connection must end
  bool is_ready = false;
  bool is_going_away = false;
  // LIFETIME: nghttp2 holds pointers to these; declared last, destroyed after nghttp2_session_del.
  std::unordered_map<StreamId, std::unique_ptr<Stream>> streams;
};

// session_streams.cc
Error cancelled_by_peer();
// session_callbacks.cc
const nghttp2_session_callbacks* session_callbacks();
nghttp2_data_provider message_provider();

}  // namespace berth::rpc::core
