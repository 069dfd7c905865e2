// Session as a set of calls: what callers do with a call.
#include "rpc/core/gzip.h"
#include "rpc/core/http2_fields.h"
#include "rpc/core/session_impl.h"

#include <cassert>
#include <utility>

namespace berth::rpc::core {
namespace {

constexpr std::uint32_t kBadCompressionCost = 200;
constexpr StreamId kLastStreamId = 0x7FFFFFFF;

}  // namespace

// --- both sides -------------------------------------------------------------------------------

Result<Next> Session::take(StreamId id, std::string& message) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr) return std::unexpected(cancelled_by_peer());
  if (stream->failure && (impl_->is_server() || !stream->in.has_message())) {
    return std::unexpected(*stream->failure);
  }
  if (auto stored = stream->in.pop()) {
    impl_->give_credit_of_taken(*stream, stored->credit);
    impl_->resume_stalled();
    if (!stored->is_compressed) {
      message = std::move(stored->bytes);
      return Next::kMessage;
    }
    auto plain = stream->is_gzip
                     ? gunzip(stored->bytes, impl_->limits.message_bytes)
                     : fail(Code::kInternal, "BAD_COMPRESSION", "a compressed message without grpc-encoding");
    if (plain) {
      message = *std::move(plain);
      return Next::kMessage;
    }
    (void)impl_->charge(kBadCompressionCost);  // inflating up to the limit was work
    stream->failure = plain.error();
    return std::unexpected(plain.error());
  }
  if (!impl_->is_server() && stream->response->is_done() && (stream->remote_ended || stream->is_closed)) {
    const auto& status = stream->response->status();
    if (!status) return std::unexpected(status.error());
  } else if (!stream->remote_ended) {
    return Next::kNotYet;
  }
  if (stream->in.is_inside_message()) {
    return fail(Code::kInternal, "", "the stream ended inside a message");
  }
  return Next::kEnd;
}

void Session::write(StreamId id, std::string message) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->is_finishing) return;
  const std::size_t before = stream->out.size();
  stream->out.append(std::move(message));
  impl_->unsent_bytes += stream->out.size() - before;
  if (!stream->headers_sent) {
    impl_->submit_headers(*stream, plain_head(), true);
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
  const auto credit = stream->in.drop() + std::exchange(stream->credit, 0);
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
  impl_->submit_headers(*stream, fields_of(response_fields(200, initial)), true);
}

void Session::finish(StreamId id, const Result<void>& status, const Metadata& trailing) {
  Stream* stream = impl_->find(id);
  if (stream == nullptr || stream->is_closed || stream->is_finishing) return;
  stream->is_finishing = true;
  if (status && trailing.empty() && stream->headers_sent) {  // plain_trailers()
    nghttp2_session_resume_data(impl_->session, id);
    return;
  }
  std::vector<HeaderField> fields;
  if (!stream->headers_sent) fields = response_fields(200, {});  // trailers-only
  append_status(fields, status ? WireStatus{} : encode_status(status.error()));
  append_metadata(fields, trailing);
  if (!stream->headers_sent) {
    impl_->submit_headers(*stream, fields_of(fields), false);
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

bool Session::was_refused(StreamId id) const {
  const Stream* stream = impl_->find(id);
  return stream != nullptr && stream->is_refused;
}

Result<void> Session::status(StreamId id) const {
  const Stream* stream = impl_->find(id);
  if (stream == nullptr) return std::unexpected(cancelled_by_peer());
  if (!stream->response->is_done()) return fail(Code::kInternal, "", "the call has not ended");
  return stream->response->status();
}

}  // namespace berth::rpc::core
