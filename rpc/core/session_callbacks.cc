// What nghttp2 reports while it reads and writes. Every callback gets the Session::Impl as user data.
//
// LIFETIME: a Stream pointer found here is valid until Impl::close() of that stream has returned.
// A callback that returns NGHTTP2_ERR_CALLBACK_FAILURE has set Impl::doom before.
#include "rpc/core/session_impl.h"

#include <cassert>
#include <string_view>
#include <utility>

namespace berth::rpc::core {
namespace {

// What a frame costs that its sender gets for nothing (see Limits::control_burst).
constexpr std::uint32_t kFrameCost = 1;
constexpr std::uint32_t kSettingsCost = 5;
constexpr std::uint32_t kInvalidFrameCost = 10;
// What real work gives back.
constexpr double kSentFrameGain = 2;
constexpr double kMessageGain = 1;
// A header list so many times over its limit is dropped instead of answered.
constexpr std::size_t kHeaderExcess = 2;
constexpr std::uint32_t kHeaderBombCost = 50;
constexpr std::size_t kCrumbBytes = 64;

Session::Impl& impl_of(void* user_data) {
  return *static_cast<Session::Impl*>(user_data);
}
std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
int verdict(bool is_fine) {
  return is_fine ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  auto& impl = impl_of(user_data);
  if (impl.is_server() && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    impl.add_stream(frame->hd.stream_id);
  } else if (Stream* stream = impl.find(frame->hd.stream_id)) {
    stream->header_bytes = 0;
  }
  return 0;
}

int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
              const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user_data) {
  auto& impl = impl_of(user_data);
  Stream* stream = impl.find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->header_bytes += name_size + value_size + 32;
  if (stream->header_bytes > kHeaderExcess * impl.limits.header_list_bytes) {
    // Not worth an answer. nghttp2 decodes the rest of the block without looking at it and resets the
    // stream; looking is what makes a bomb of table references cost seconds.
    if (!impl.charge(kHeaderBombCost)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (stream->header_bytes > impl.limits.header_list_bytes) {
    stream->is_over_header_limit = true;
    return 0;
  }
  if (!impl.is_server()) {
    stream->response->add(text_of(name, name_size), text_of(value, value_size));
  } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream->request->add(text_of(name, name_size), text_of(value, value_size));
  }
  return 0;
}

int on_headers_complete(Session::Impl& impl, const nghttp2_frame& frame) {
  Stream* stream = impl.find(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  const bool is_end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (is_end) stream->remote_ended = true;
  if (!impl.is_server()) {
    impl.end_response_block(*stream, is_end);
  } else if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    impl.judge_request(*stream);
  } else if (is_end) {
    impl.end_remote(*stream);
  }
  return verdict(!impl.doom);
}

int on_data_complete(Session::Impl& impl, const nghttp2_frame& frame) {
  Stream* stream = impl.find(frame.hd.stream_id);
  if (stream == nullptr) return verdict(impl.charge(kFrameCost));
  const auto messages =
      stream->in.completed_count() - std::exchange(stream->counted_messages, stream->in.completed_count());
  impl.control.add(static_cast<double>(messages) * kMessageGain);
  const bool is_end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (is_end) impl.end_remote(*stream);
  // Empty frames, and messages in crumbs.
  const bool is_crumb = messages == 0 && !is_end && frame.hd.length - frame.data.padlen < kCrumbBytes;
  return verdict(!is_crumb || impl.charge(kFrameCost));
}

int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  auto& impl = impl_of(user_data);
  const bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      return on_headers_complete(impl, *frame);
    case NGHTTP2_DATA:
      return on_data_complete(impl, *frame);
    case NGHTTP2_RST_STREAM:
      return verdict(impl.charge(kFrameCost) && impl.charge_reset());
    case NGHTTP2_PING:
      if (!is_ack) return verdict(impl.charge(kFrameCost));
      impl.push_event(Event::Kind::kPong, 0);
      return 0;
    case NGHTTP2_SETTINGS:
      if (is_ack) return 0;
      if (!impl.is_ready) {
        impl.is_ready = true;
        impl.push_event(Event::Kind::kReady, 0);
      }
      return verdict(impl.charge(kSettingsCost));
    case NGHTTP2_GOAWAY:
      impl.is_going_away = true;
      impl.push_event(Event::Kind::kGoaway, 0);
      return verdict(impl.charge(kFrameCost));
    default:  // PRIORITY, WINDOW_UPDATE
      return verdict(impl.charge(kFrameCost));
  }
}

int on_data_chunk(nghttp2_session* session, std::uint8_t, StreamId id, const std::uint8_t* data,
                  std::size_t size, void* user_data) {
  auto& impl = impl_of(user_data);
  // The connection window only bounds what is in flight; the stream windows are the back-pressure.
  nghttp2_session_consume_connection(session, size);
  Stream* stream = impl.find(id);
  if (stream == nullptr || stream->failure || stream->is_released ||
      (impl.is_server() && stream->is_finishing)) {
    return 0;  // dropped, and no credit for more
  }
  const bool had_message = stream->in.has_message();
  const bool was_stalled = stream->in.is_stalled();
  const auto credit = stream->in.push({data, size});
  if (!credit) {
    stream->failure = credit.error();
    stream->in.drop();
    impl.resume_stalled();
    impl.push_event(Event::Kind::kReadable, id);
    return 0;
  }
  impl.give_credit(id, *credit);
  if (!was_stalled && stream->in.is_stalled()) impl.stalled.push_back(id);
  if (!had_message && stream->in.has_message()) impl.push_event(Event::Kind::kReadable, id);
  return 0;
}

int on_stream_close(nghttp2_session*, StreamId id, std::uint32_t error_code, void* user_data) {
  auto& impl = impl_of(user_data);
  if (Stream* stream = impl.find(id)) impl.close(*stream, error_code);
  return 0;
}

int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
  auto& impl = impl_of(user_data);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  // Not for crumbs: a peer that opens its window by single bytes would earn its own flood.
  if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.length >= kCrumbBytes) impl.control.add(kSentFrameGain);
  if (!impl.is_server() || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  // The reply is complete: a client that is still sending may stop.
  const Stream* stream = impl.find(frame->hd.stream_id);
  if (stream != nullptr && !stream->remote_ended) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user_data) {
  return verdict(impl_of(user_data).charge(kInvalidFrameCost));
}

ssize_t read_messages(nghttp2_session*, StreamId id, std::uint8_t* into, std::size_t room,
                      std::uint32_t* flags, nghttp2_data_source*, void* user_data) {
  auto& impl = impl_of(user_data);
  Stream* stream = impl.find(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const std::size_t before = stream->out.size();
  if (before == 0 && !stream->is_finishing) return NGHTTP2_ERR_DEFERRED;
  const std::size_t count = stream->out.read({into, room});
  impl.unsent_bytes -= count;
  const std::size_t after = stream->out.size();
  if (before >= impl.limits.write_ahead_bytes && after < impl.limits.write_ahead_bytes) {
    impl.push_event(Event::Kind::kWritable, id);
  }
  if (after == 0 && stream->is_finishing) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (impl.is_server()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      impl.submit_trailers(*stream);
    }
  }
  return static_cast<ssize_t>(count);
}

}  // namespace

const nghttp2_session_callbacks* session_callbacks() {
  static const nghttp2_session_callbacks* const kCallbacks = [] {
    nghttp2_session_callbacks* callbacks = nullptr;
    [[maybe_unused]] const int made = nghttp2_session_callbacks_new(&callbacks);
    assert(made == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    return callbacks;
  }();
  return kCallbacks;
}

nghttp2_data_provider message_provider() {
  return {.source = {.ptr = nullptr}, .read_callback = read_messages};
}

}  // namespace berth::rpc::core
