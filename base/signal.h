// "Something has changed": any number of coroutines wait, one call wakes them all. Carries no data and
// remembers nothing: look at the state before waiting, and again after.
//
// Resuming is posted, never done inside notify_all(). A Signal at rest owns no timer and no memory.
// LIFETIME: must outlive its waiters, so a waiter holds whatever owns the Signal; the io_context
// outlives both.
#pragma once

#include "base/task.h"

#include <cstdint>
#include <functional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

namespace berth {

class Signal {
 public:
  explicit Signal(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // Resumes everybody who waits now, and nobody who comes later.
  void notify_all();

  // CANCELLED when the waiting coroutine is cancelled.
  Task<void> wait();

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

}  // namespace berth
