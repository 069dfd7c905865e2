#include "rpc/server_call.h"

#include <exception>
#include <utility>

#include <boost/asio/multiple_exceptions.hpp>
#include <fmt/format.h>

namespace berth::rpc {
namespace {

constexpr std::uint32_t kHttp2Cancel = 8;

std::unexpected<Error> cancelled() {
  return fail(Code::kCancelled, "", "the call was cancelled");
}

}  // namespace

ServerCall::ServerCall(asio::any_io_executor executor, std::shared_ptr<net::Link> link, core::StreamId stream,
                       std::shared_ptr<CallState> state, const Limits& limits)
    : link_(std::move(link)),
      stream_(stream),
      state_(std::move(state)),
      limits_(limits),
      readable_(executor),
      writable_(executor) {}

Result<Next> ServerCall::take(std::string& message) {
  auto next = link_->session().take(stream_, message);
  if (next && *next == Next::kMessage && link_->session().wants_write()) {
    link_->flush_soon();  // credit for the peer
  }
  return next;
}

Task<void> ServerCall::wait_readable() {
  const auto self = shared_from_this();
  co_return co_await readable_.wait();
}

Result<void> ServerCall::put(std::string message) {
  auto& session = link_->session();
  if (is_answered_ || link_->is_over()) return std::unexpected(session.closing_error(stream_));
  if (session.unsent() + message.size() > limits_.outbound_bytes) {
    return fail(Code::kResourceExhausted, "PEER_TOO_SLOW",
                fmt::format("the client leaves {} bytes untaken on this connection", session.unsent()));
  }
  send_initial_metadata();
  session.write(stream_, std::move(message));
  link_->flush_soon();
  return {};
}

bool ServerCall::is_full() const {
  return link_->session().unsent(stream_) >= limits_.write_ahead_bytes;
}

Task<void> ServerCall::wait_writable() {
  const auto self = shared_from_this();
  co_return co_await writable_.wait();
}

asio::awaitable<void> ServerCall::run(const Method& method) {
  const auto self = shared_from_this();
  // A handler that throws is a bug of ours; the client learns no more than that.
  Result<void> outcome = fail(Code::kInternal, "HANDLER_THREW", "the handler failed");
  try {
    outcome = co_await method.handler(Context(state_), self);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) outcome = cancelled();
  } catch (const asio::multiple_exceptions&) {  // from awaitable operators, when cancelled
    outcome = cancelled();
  } catch (...) {
  }
  finish(outcome);
}

void ServerCall::send_initial_metadata() {
  if (!state_->initial_metadata.empty()) {
    link_->session().send_headers(stream_, std::exchange(state_->initial_metadata, {}));
  }
}

void ServerCall::finish(const Result<void>& status) {
  if (is_answered_) return;
  is_answered_ = true;
  send_initial_metadata();
  link_->session().finish(stream_, status, state_->trailing_metadata);
  link_->flush_soon();
}

void ServerCall::abandon() {
  is_answered_ = true;
  cancellation_.emit(asio::cancellation_type::terminal);
  readable_.notify_all();
  writable_.notify_all();
}

void ServerCall::on_deadline() {
  // Behind replies that the client does not take, a status would wait for ever.
  if (link_->session().unsent(stream_) > 0) {
    is_answered_ = true;
    link_->session().reset(stream_, kHttp2Cancel);
    link_->flush_soon();
  }
  finish(fail(Code::kDeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed"));
  abandon();
}

void ServerCall::release() {
  link_->session().release(stream_);
  link_->flush_soon();
}

}  // namespace berth::rpc
