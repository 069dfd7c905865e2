#include "base/signal.h"

#include <algorithm>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace berth {

Task<void> Signal::wait() {
  auto initiate = [](auto handler, Signal* self) {
    const std::uint64_t number = self->next_number_++;
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([self, number](asio::cancellation_type) { self->cancel(number); });
    }
    self->waiters_.push_back({.number = number, .slot = slot, .resume = std::move(handler)});
  };
  const auto [error] = co_await asio::async_initiate<decltype(kAsTuple), void(boost::system::error_code)>(
      initiate, kAsTuple, this);
  // Woken and cancelled, both before it ran again: cancelled is what counts.
  const auto state = co_await asio::this_coro::cancellation_state;
  if (error || state.cancelled() != asio::cancellation_type::none) {
    co_return fail(Code::kCancelled, "", "cancelled while waiting");
  }
  co_return Result<void>();
}

void Signal::notify_all() {
  for (auto& waiter : std::exchange(waiters_, {})) {
    if (waiter.slot.is_connected()) waiter.slot.clear();
    post(std::move(waiter), {});
  }
}

void Signal::cancel(std::uint64_t number) {
  const auto found = std::ranges::find(waiters_, number, &Waiter::number);
  if (found == waiters_.end()) return;
  Waiter waiter = std::move(*found);
  waiters_.erase(found);
  // The slot is not cleared: its handler is what runs right now.
  post(std::move(waiter), asio::error::operation_aborted);
}

void Signal::post(Waiter waiter, boost::system::error_code error) {
  asio::post(executor_, [resume = std::move(waiter.resume), error]() mutable { resume(error); });
}

}  // namespace berth
