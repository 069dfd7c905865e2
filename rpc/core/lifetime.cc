#include "rpc/core/lifetime.h"

#include <algorithm>

namespace berth::rpc::core {

Lifetime::Lifetime(Role role, const Limits& limits, Time now, double jitter)
    : role_(role), limits_(limits), opened_at_(now), received_at_(now), idle_since_(now) {
  if (role_ == Role::kServer && limits_.connection_age.count() > 0) {
    const auto age = std::chrono::duration<double, std::milli>(limits_.connection_age) * (1.0 + jitter / 10);
    age_ = std::chrono::duration_cast<std::chrono::nanoseconds>(age);
  }
}

void Lifetime::on_ready(Time now) {
  if (state_ != State::kOpening) return;
  state_ = State::kOpen;
  idle_since_ = now;
  // Not from the first byte on: a connection that is old when it is ready would be of no use to anybody.
  if (age_.count() > 0) old_at_ = now + age_;
}

void Lifetime::on_call_count(std::size_t count, Time now) {
  if (has_calls_ && count == 0) idle_since_ = now;
  has_calls_ = count > 0;
}

Time Lifetime::idle_at() const {
  const bool applies = role_ == Role::kServer && !has_calls_ && limits_.idle.count() > 0;
  return applies ? idle_since_ + limits_.idle : Time::max();
}

Time Lifetime::keepalive_at() const {
  if (limits_.keepalive.count() == 0) return Time::max();
  return is_probing_ ? probed_at_ + limits_.keepalive_timeout : received_at_ + limits_.keepalive;
}

Time Lifetime::next() const {
  switch (state_) {
    case State::kOpening:
      return opened_at_ + limits_.handshake;
    case State::kOpen:
      return std::min({old_at_, idle_at(), keepalive_at()});
    case State::kDraining:
      return std::min(drain_by_, keepalive_at());
    case State::kClosed:
      break;
  }
  return Time::max();
}

Lifetime::Verdict Lifetime::check(Time now) {
  if (now < next()) return {};
  const auto close = [this](std::string message, std::string reason) {
    state_ = State::kClosed;
    return Verdict{
        .action = Action::kClose,
        .reason = {.code = Code::kUnavailable, .message = std::move(message), .reason = std::move(reason)}};
  };
  if (state_ == State::kOpening) return close("no TLS or HTTP/2 handshake in time", "HANDSHAKE_TIMEOUT");
  if (now >= drain_by_) return close("calls did not end in time before the close", "DRAIN_TIMEOUT");
  if (now >= keepalive_at()) {
    if (is_probing_) return close("the peer does not answer PING", "KEEPALIVE_TIMEOUT");
    is_probing_ = true;
    probed_at_ = now;
    return {.action = Action::kPing};
  }
  if (state_ != State::kOpen) return {};
  const bool is_old = now >= old_at_;
  state_ = State::kDraining;
  drain_by_ = now + limits_.connection_grace;
  return {.action = Action::kDrain,
          .reason = {.code = Code::kUnavailable,
                     .message = is_old ? "the connection is old" : "the connection is idle",
                     .reason = is_old ? "CONNECTION_AGE" : "CONNECTION_IDLE"}};
}

}  // namespace berth::rpc::core
