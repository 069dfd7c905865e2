// "Something has changed": any number of coroutines wait, one call wakes them all. Carries no data and
// remembers nothing: look at the state before waiting, and again after.
#pragma once

#include "base/task.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace berth {

class Signal {
 public:
  explicit Signal(asio::any_io_executor executor)
      : timer_(std::move(executor), asio::steady_timer::time_point::max()) {}

  void notify_all() { timer_.cancel(); }

  // CANCELLED when the waiting coroutine is cancelled.
  Task<void> wait() {
    (void)co_await timer_.async_wait(kAsTuple);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return fail(Code::kCancelled, "", "cancelled while waiting");
    }
    co_return Result<void>();
  }

 private:
  asio::steady_timer timer_;  // never expires; cancelling it wakes the waiters
};

}  // namespace berth
