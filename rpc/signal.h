// Lets coroutines wait for "something changed". A condition, not a queue: wake() resumes everybody who
// waits now, and nobody later, so every wait is a loop around a test of the thing itself.
//
// Resuming is posted, never done inside wake(). Waiting reacts to cancellation.
// LIFETIME: must outlive its waiters; a waiter holds whatever owns the Signal.
#pragma once

#include "base/task.h"

#include <cstdint>
#include <functional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

namespace berth::rpc {

class Signal {
 public:
  explicit Signal(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // False when the waiting coroutine was cancelled.
  asio::awaitable<bool> wait();
  void wake();

 private:
  struct Waiter {
    std::uint64_t number;
    asio::cancellation_slot slot;
    std::move_only_function<void(boost::system::error_code)> resume;
  };
  void cancel(std::uint64_t number);
  void post(Waiter waiter, boost::system::error_code error);

  asio::any_io_executor executor_;
  std::vector<Waiter> waiters_;
  std::uint64_t next_number_ = 0;
};

}  // namespace berth::rpc
