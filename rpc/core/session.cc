// Session as a connection: construction, transport side, shutdown.
#include "rpc/core/session.h"

#include "rpc/core/session_impl.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace berth::rpc::core {
namespace {

// nghttp2's own defences; what it does not count, CreditBucket does. nghttp2 copies the options.
using Options = std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)>;
Options make_options(const Limits& limits) {
  nghttp2_option* option = nullptr;
  [[maybe_unused]] const int made = nghttp2_option_new(&option);
  assert(made == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_outbound_ack(option, limits.unsent_answers);
  nghttp2_option_set_max_settings(option, 16);
  nghttp2_option_set_max_continuations(option, limits.continuations);
  // Out of the way of Limits::resets_burst, which is ours to set and names its reason.
  nghttp2_option_set_stream_reset_rate_limit(option, 100'000, 100'000);
  return {option, nghttp2_option_del};
}

Error error_of(int nghttp2_error) {
  Error error{.code = Code::kInternal,
              .message = fmt::format("HTTP/2: {}", nghttp2_strerror(nghttp2_error)),
              .reason = "HTTP2_ERROR"};
  if (nghttp2_error == NGHTTP2_ERR_FLOODED) error.reason = "CONTROL_FLOOD";
  if (nghttp2_error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) error.reason = "CONTINUATION_FLOOD";
  if (error.reason != "HTTP2_ERROR") error.code = Code::kResourceExhausted;
  return error;
}

Limits checked(Limits limits) {
  // Every message that is allowed at all must fit into the budget, or its stream would stall for ever.
  limits.inbound_bytes = std::max<std::size_t>(limits.inbound_bytes, limits.message_bytes);
  return limits;
}

}  // namespace

Session::Impl::Impl(Role role_of_us, const Limits& limits_of_us, Time start)
    : role(role_of_us),
      limits(checked(limits_of_us)),
      now(start),
      inbound(limits.inbound_bytes),
      control(limits.control_burst, limits.control_per_second, start),
      resets(limits.resets_burst, limits.resets_per_second, start) {
  const auto options = make_options(limits);
  [[maybe_unused]] const int made =
      is_server() ? nghttp2_session_server_new2(&session, session_callbacks(), this, options.get())
                  : nghttp2_session_client_new2(&session, session_callbacks(), this, options.get());
  assert(made == 0);
  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window_bytes},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.header_list_bytes},
      is_server() ? nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams}
                  : nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(limits.connection_window_bytes));
}

Session::Impl::~Impl() {
  nghttp2_session_del(session);
}

bool Session::Impl::charge(std::uint32_t credits) {
  if (control.take(credits, now)) return true;
  if (!doom) {
    doom = Error{.code = Code::kResourceExhausted,
                 .message = "the peer floods the connection with control frames",
                 .reason = "CONTROL_FLOOD"};
  }
  return false;
}

bool Session::Impl::charge_reset() {
  if (!is_server() || resets.take(1, now)) return true;
  if (!doom) {
    doom = Error{.code = Code::kResourceExhausted,
                 .message = "the peer resets calls faster than allowed",
                 .reason = "RESET_FLOOD"};
  }
  return false;
}

Session::Session(Role role, const Limits& limits, Time now)
    : impl_(std::make_unique<Impl>(role, limits, now)) {}
Session::~Session() = default;

Result<void> Session::receive(std::span<const std::uint8_t> bytes, Time now) {
  impl_->now = now;
  if (impl_->doom) return std::unexpected(*impl_->doom);
  const auto used = nghttp2_session_mem_recv(impl_->session, bytes.data(), bytes.size());
  if (impl_->doom) {
    nghttp2_session_terminate_session(impl_->session, NGHTTP2_ENHANCE_YOUR_CALM);
    return std::unexpected(*impl_->doom);
  }
  if (used < 0) {
    impl_->doom = error_of(static_cast<int>(used));
    return std::unexpected(*impl_->doom);
  }
  return {};
}

std::vector<Event> Session::take_events() {
  return std::exchange(impl_->events, {});
}

bool Session::has_events() const {
  return !impl_->events.empty();
}

bool Session::wants_write() const {
  return nghttp2_session_want_write(impl_->session) != 0;
}

Result<void> Session::collect(std::string& into, std::size_t limit) {
  while (into.size() < limit) {
    const std::uint8_t* frame = nullptr;
    const auto size = nghttp2_session_mem_send(impl_->session, &frame);
    if (size == 0) return {};
    if (size < 0) {
      impl_->doom = error_of(static_cast<int>(size));
      return std::unexpected(*impl_->doom);
    }
    into.append(reinterpret_cast<const char*>(frame), static_cast<std::size_t>(size));
  }
  return {};
}

bool Session::is_over() const {
  return nghttp2_session_want_read(impl_->session) == 0 && nghttp2_session_want_write(impl_->session) == 0;
}

void Session::abandon(const Error& reason) {
  if (!impl_->doom) impl_->doom = reason;
  impl_->is_going_away = true;
  std::vector<StreamId> ids;
  for (const auto& [id, stream] : impl_->streams) ids.push_back(id);
  for (const StreamId id : ids) {
    Stream& stream = *impl_->find(id);
    if (stream.is_closed) continue;
    if (!stream.failure) stream.failure = reason;
    if (stream.response) stream.response->fail_with(reason);
    impl_->close(stream, NGHTTP2_NO_ERROR);
  }
}

void Session::ping() {
  nghttp2_submit_ping(impl_->session, NGHTTP2_FLAG_NONE, nullptr);
}

void Session::announce_shutdown() {
  impl_->is_going_away = true;
  if (impl_->is_server()) nghttp2_submit_shutdown_notice(impl_->session);
}

void Session::shut_down() {
  impl_->is_going_away = true;
  nghttp2_submit_goaway(impl_->session, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(impl_->session), NGHTTP2_NO_ERROR, nullptr,
                        0);
}

void Session::terminate(std::uint32_t http2_code) {
  impl_->is_going_away = true;
  nghttp2_session_terminate_session(impl_->session, http2_code);
}

std::size_t Session::call_count() const {
  return impl_->streams.size();
}

}  // namespace berth::rpc::core
