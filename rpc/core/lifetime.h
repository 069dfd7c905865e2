// When a connection must be probed, drained or closed. IO-free: told what happened, asked what to do.
//
//   opening --ready--> open --idle or old--> draining --grace--> closed
//      \--handshake deadline--> closed        any --keepalive unanswered--> closed
#pragma once

#include "rpc/core/session.h"
#include "rpc/limits.h"

#include <string>

namespace berth::rpc::core {

class Lifetime {
 public:
  // `jitter` in [0, 1) spreads the ages of connections made together by up to a tenth.
  Lifetime(Role role, const Limits& limits, Time now, double jitter);

  void on_ready(Time now);  // TLS and HTTP/2 are up
  void on_received(Time now) { received_at_ = now, is_probing_ = false; }
  void on_call_count(std::size_t count, Time now);

  enum class Action { kNone, kPing, kDrain, kClose };
  struct Verdict {
    Action action = Action::kNone;
    Error reason = {};  // kDrain and kClose
  };
  // To be called at next(), or any time. Every action is told once.
  Verdict check(Time now);
  // Time::max() when there is nothing to wait for.
  Time next() const;

 private:
  enum class State { kOpening, kOpen, kDraining, kClosed };
  Time idle_at() const;
  Time keepalive_at() const;

  Role role_;
  Limits limits_;
  State state_ = State::kOpening;
  Time opened_at_;
  std::chrono::nanoseconds age_{0};  // 0: for ever
  Time old_at_ = Time::max();
  Time drain_by_ = Time::max();
  Time received_at_;
  Time idle_since_;
  bool has_calls_ = false;
  bool is_probing_ = false;  // a PING is out
  Time probed_at_{};
};

}  // namespace berth::rpc::core
