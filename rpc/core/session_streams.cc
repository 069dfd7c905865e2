// What happens to a call inside a Session: how it begins and ends, and the credit of its messages.
#include "rpc/core/http2_fields.h"
#include "rpc/core/session_impl.h"

#include <utility>

#include <fmt/format.h>

namespace berth::rpc::core {
namespace {

constexpr std::uint32_t kRefusedCallCost = 5;
constexpr std::uint32_t kHeaderFloodCost = 50;
constexpr std::uint32_t kCreditParts = 8;  // of a stream window

}  // namespace

Error cancelled_by_peer() {
  return {.code = Code::kCancelled, .message = "the peer cancelled the call"};
}

Stream* Session::Impl::find(StreamId id) {
  const auto found = streams.find(id);
  return found == streams.end() ? nullptr : found->second.get();
}

Stream& Session::Impl::add_stream(StreamId id) {
  const Inbound::Options options{.message_bytes = limits.message_bytes,
                                 .window_bytes = limits.stream_window_bytes};
  auto stream = std::make_unique<Stream>(id, options, inbound);
  if (is_server()) {
    stream->request = std::make_unique<RequestParser>();
  } else {
    stream->response = std::make_unique<ResponseHead>();
  }
  return *streams.emplace(id, std::move(stream)).first->second;
}

void Session::Impl::judge_request(Stream& stream) {
  if (stream.is_over_header_limit) {
    (void)charge(kHeaderFloodCost);
    refuse(stream, {.http_status = 431,
                    .grpc_status = static_cast<int>(Code::kResourceExhausted),
                    .message = fmt::format("the header list exceeds {} bytes", limits.header_list_bytes)});
    return;
  }
  if (const auto refusal = stream.request->judge()) {
    (void)charge(kRefusedCallCost);
    refuse(stream, *refusal);
    return;
  }
  if (running_calls >= limits.running_calls) {
    (void)charge(kRefusedCallCost);
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  stream.is_gzip = stream.request->head().is_gzip;
  stream.is_announced = true;
  ++running_calls;
  push_event(Event::Kind::kRequest, stream.id);
}

void Session::Impl::refuse(Stream& stream, const RequestParser::Refusal& refusal) {
  auto fields = response_fields(refusal.http_status, {});
  append_status(fields, {.code = refusal.grpc_status, .message = refusal.message, .details = {}});
  fields.push_back({"grpc-accept-encoding", "identity,gzip"});
  stream.is_finishing = true;
  submit_headers(stream, fields_of(fields), false);
}

void Session::Impl::submit_headers(Stream& stream, std::span<const nghttp2_nv> fields, bool has_body) {
  const nghttp2_data_provider provider = message_provider();
  stream.headers_sent = true;
  nghttp2_submit_response(session, stream.id, fields.data(), fields.size(), has_body ? &provider : nullptr);
}

void Session::Impl::submit_trailers(Stream& stream) {
  const auto own = fields_of(stream.trailers);
  const auto all = own.empty() ? plain_trailers() : std::span<const nghttp2_nv>(own);
  nghttp2_submit_trailer(session, stream.id, all.data(), all.size());
}

void Session::Impl::end_response_block(Stream& stream, bool is_end_of_stream) {
  if (stream.is_over_header_limit) {
    stream.response->fail_with(
        {.code = Code::kResourceExhausted,
         .message = fmt::format("the server's header list exceeds {} bytes", limits.header_list_bytes)});
  } else if (stream.response->end_block(is_end_of_stream)) {
    stream.is_gzip = stream.response->is_gzip();
    push_event(Event::Kind::kHeaders, stream.id);
  }
  if (is_end_of_stream) {
    end_remote(stream);
  } else if (stream.response->is_done()) {  // not a gRPC response: no need to hear the rest
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
  }
}

void Session::Impl::end_remote(Stream& stream) {
  stream.remote_ended = true;
  if (!is_server() && !stream.response->is_done()) {
    stream.response->fail_with(
        {.code = Code::kInternal, .message = "the server ended the call without a status"});
  }
  if (stream.is_announced) push_event(Event::Kind::kReadable, stream.id);
  // The reply is complete while we are still sending: nothing of it matters any more.
  if (!is_server() && !stream.is_closed && !stream.is_finishing) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR);
  }
}

void Session::Impl::close(Stream& stream, std::uint32_t http2_code) {
  const StreamId id = stream.id;
  stream.is_closed = true;
  unsent_bytes -= stream.out.size();
  const bool was_complete = is_server() && stream.is_finishing && stream.out.size() == 0;
  stream.out.clear();
  if (!is_server() && !stream.response->is_done()) {
    stream.is_refused = http2_code == NGHTTP2_REFUSED_STREAM && !stream.response->has_headers();
    stream.response->on_reset(http2_code);
  }
  if (is_server() && !was_complete && !stream.failure) stream.failure = cancelled_by_peer();
  if (stream.is_announced && !stream.is_released) push_event(Event::Kind::kClosed, id);
  forget_if_done(stream);
}

void Session::Impl::give_credit(StreamId id, std::size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_stream(session, id, bytes);
}

// Small messages give it back together: nghttp2 looks the stream up each time, and tells the peer only
// at half a window.
void Session::Impl::give_credit_of_taken(Stream& stream, std::size_t bytes) {
  stream.credit += bytes;
  if (stream.in.has_message() && stream.credit < limits.stream_window_bytes / kCreditParts) return;
  give_credit(stream.id, std::exchange(stream.credit, 0));
}

void Session::Impl::resume_stalled() {
  while (!stalled.empty()) {
    Stream* stream = find(stalled.front());
    if (stream != nullptr) {
      give_credit(stream->id, stream->in.resume());
      if (stream->in.is_stalled()) return;
    }
    stalled.pop_front();
  }
}

void Session::Impl::forget_if_done(Stream& stream) {
  if (!stream.is_closed || (stream.is_announced && !stream.is_released)) return;
  streams.erase(stream.id);
  resume_stalled();
}

}  // namespace berth::rpc::core
