// Session as a set of calls: what callers do with a call, and how a call begins and ends.
#include "rpc/core/gzip.h"
#include "rpc/core/header_codec.h"
#include "rpc/core/session_impl.h"
#include "rpc/core/status_codec.h"

#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace berth::rpc::core {
namespace {

constexpr std::uint32_t kRefusedCallCost = 5;
constexpr std::uint32_t kHeaderFloodCost = 50;
constexpr std::uint32_t kBadCompressionCost = 200;
constexpr StreamId kLastStreamId = 0x7FFFFFFF;

nghttp2_nv field_of(const HeaderField& field) {
  // LIFETIME: nghttp2 copies both before the submit call returns, and never writes through them.
  auto* name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.name.data()));
  auto* value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.value.data()));
  return {.name = name,
          .value = value,
          .namelen = field.name.size(),
          .valuelen = field.value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

std::vector<nghttp2_nv> fields_of(const std::vector<HeaderField>& fields) {
  std::vector<nghttp2_nv> all;
  all.reserve(fields.size());
  for (const auto& field : fields) all.push_back(field_of(field));
  return all;
}

std::vector<HeaderField> response_fields(int http_status, const Metadata& initial) {
  std::vector<HeaderField> fields;
  fields.reserve(5 + initial.size());
  fields.push_back({":status", http_status == 200 ? "200" : std::to_string(http_status)});
  fields.push_back({"content-type", "application/grpc"});
  append_metadata(fields, initial);
  return fields;
}

void append_status(std::vector<HeaderField>& fields, const WireStatus& status) {
  fields.push_back({"grpc-status", std::to_string(status.code)});
  if (!status.message.empty()) fields.push_back({"grpc-message", percent_encode(status.message)});
  if (!status.details.empty()) fields.push_back({"grpc-status-details-bin", base64_encode(status.details)});
}

Error cancelled_by_peer() {
  return {.code = Code::kCancelled, .message = "the peer cancelled the call"};
}

}  // namespace

// --- inside -----------------------------------------------------------------------------------

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
  submit_headers(stream, fields, false);
}

void Session::Impl::submit_headers(Stream& stream, const std::vector<HeaderField>& fields, bool has_body) {
  const auto all = fields_of(fields);
  const nghttp2_data_provider provider = message_provider();
  stream.headers_sent = true;
  nghttp2_submit_response(session, stream.id, all.data(), all.size(), has_body ? &provider : nullptr);
}

void Session::Impl::submit_trailers(Stream& stream) {
  const auto all = fields_of(stream.trailers);
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
  if (!is_server() && !stream.response->is_done()) stream.response->on_reset(http2_code);
  if (is_server() && !was_complete && !stream.failure) stream.failure = cancelled_by_peer();
  if (stream.is_announced && !stream.is_released) push_event(Event::Kind::kClosed, id);
  forget_if_done(stream);
}

void Session::Impl::give_credit(StreamId id, std::size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_stream(session, id, bytes);
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

// --- both sides -------------------------------------------------------------------------------

ReadResult Session::read(StreamId id) {
  using Kind = ReadResult::Kind;
  Stream* stream = impl_->find(id);
  if (stream == nullptr) return {.kind = Kind::kFailed, .error = cancelled_by_peer()};
  if (stream->failure && (impl_->is_server() || !stream->in.has_message())) {
    return {.kind = Kind::kFailed, .error = *stream->failure};
  }
  if (auto message = stream->in.pop()) {
    impl_->give_credit(id, message->credit);
    impl_->resume_stalled();
    if (!message->is_compressed) return {.kind = Kind::kMessage, .message = std::move(message->bytes)};
    auto plain = stream->is_gzip
                     ? gunzip(message->bytes, impl_->limits.message_bytes)
                     : fail(Code::kInternal, "BAD_COMPRESSION", "a compressed message without grpc-encoding");
    if (plain) return {.kind = Kind::kMessage, .message = *std::move(plain)};
    (void)impl_->charge(kBadCompressionCost);  // inflating up to the limit was work
    stream->failure = plain.error();
    return {.kind = Kind::kFailed, .error = plain.error()};
  }
  if (!impl_->is_server() && stream->response->is_done() && (stream->remote_ended || stream->is_closed)) {
    const auto& status = stream->response->status();
    if (!status) return {.kind = Kind::kFailed, .error = status.error()};
  } else if (!stream->remote_ended) {
    return {.kind = Kind::kNotYet};
  }
  if (stream->in.is_inside_message()) {
    return {.kind = Kind::kFailed,
            .error = {.code = Code::kInternal, .message = "the stream ended inside a message"}};
  }
  return {.kind = Kind::kEnd};
}

void Session::write(StreamId id, std::string message) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->is_finishing) return;
  const std::size_t before = stream->out.size();
  stream->out.append(std::move(message));
  impl_->unsent_bytes += stream->out.size() - before;
  if (!stream->headers_sent) {
    impl_->submit_headers(*stream, response_fields(200, {}), true);
  } else if (before == 0) {
    nghttp2_session_resume_data(impl_->session, id);
  }
}

std::size_t Session::unsent(StreamId id) const {
  const Stream* stream = impl_->find(id);
  return stream == nullptr ? 0 : stream->out.size();
}

std::size_t Session::unsent() const {
  return impl_->unsent_bytes;
}

void Session::reset(StreamId id, std::uint32_t http2_code) {
  const Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed) return;
  nghttp2_submit_rst_stream(impl_->session, NGHTTP2_FLAG_NONE, id, http2_code);
}

void Session::release(StreamId id) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_released) return;
  stream->is_released = true;
  if (impl_->is_server()) --impl_->running_calls;
  const auto credit = stream->in.drop();
  if (!stream->is_closed) {
    impl_->give_credit(id, credit);
    // A server's complete reply is still on its way out; everything else has lost its meaning.
    if (!impl_->is_server() || !stream->is_finishing) reset(id, NGHTTP2_CANCEL);
  }
  impl_->resume_stalled();
  impl_->forget_if_done(*stream);
}

// --- server -----------------------------------------------------------------------------------

RequestHead Session::take_request(StreamId id) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || !stream->request) return {};
  RequestHead head = std::move(stream->request->head());
  stream->request.reset();
  return head;
}

void Session::send_headers(StreamId id, const Metadata& initial) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->headers_sent) return;
  impl_->submit_headers(*stream, response_fields(200, initial), true);
}

void Session::finish(StreamId id, const Result<void>& status, const Metadata& trailing) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->is_finishing) return;
  stream->is_finishing = true;
  std::vector<HeaderField> fields;
  if (!stream->headers_sent) fields = response_fields(200, {});  // trailers-only
  append_status(fields, status ? WireStatus{} : encode_status(status.error()));
  append_metadata(fields, trailing);
  if (!stream->headers_sent) {
    impl_->submit_headers(*stream, fields, false);
    return;
  }
  stream->trailers = std::move(fields);
  nghttp2_session_resume_data(impl_->session, id);
}

Error Session::closing_error(StreamId id) const {
  const Stream* stream = impl_->find(id);
  return stream != nullptr && stream->failure ? *stream->failure : cancelled_by_peer();
}

// --- client -----------------------------------------------------------------------------------

bool Session::can_start() const {
  return !impl_->is_going_away && !impl_->doom &&
         nghttp2_session_get_next_stream_id(impl_->session) < static_cast<std::uint32_t>(kLastStreamId);
}

Result<StreamId> Session::start(const RequestHead& head) {
  assert(!impl_->is_server());
  const auto fields = request_fields(head);
  const auto all = fields_of(fields);
  const nghttp2_data_provider provider = message_provider();
  const StreamId id = can_start() ? nghttp2_submit_request(impl_->session, nullptr, all.data(), all.size(),
                                                           &provider, nullptr)
                                  : NGHTTP2_ERR_START_STREAM_NOT_ALLOWED;
  if (id < 0) return fail(Code::kUnavailable, "CONNECTION_CLOSING", "the connection takes no new calls");
  Stream& stream = impl_->add_stream(id);
  stream.is_announced = true;
  stream.headers_sent = true;
  return id;
}

void Session::half_close(StreamId id) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->is_finishing) return;
  stream->is_finishing = true;
  nghttp2_session_resume_data(impl_->session, id);
}

bool Session::has_headers(StreamId id) const {
  const Stream* stream = impl_->find(id);
  return stream == nullptr || stream->response->has_headers();
}

const Metadata& Session::initial_metadata(StreamId id) const {
  static const Metadata kNone;
  const Stream* stream = impl_->find(id);
  return stream == nullptr ? kNone : stream->response->initial_metadata();
}

const Metadata& Session::trailing_metadata(StreamId id) const {
  static const Metadata kNone;
  const Stream* stream = impl_->find(id);
  return stream == nullptr ? kNone : stream->response->trailing_metadata();
}

Result<void> Session::status(StreamId id) const {
  const Stream* stream = impl_->find(id);
  if (stream == nullptr) return std::unexpected(cancelled_by_peer());
  if (!stream->response->is_done()) return fail(Code::kInternal, "", "the call has not ended");
  return stream->response->status();
}

}  // namespace berth::rpc::core
