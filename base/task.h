// Coroutines of the whole tree: Task<T> is an awaitable that ends in a Result<T>.
//
// Rules (docs/coroutines.md): parameters by value, or references to services that main keeps alive;
// spawn only through a TaskGroup; the operand of co_await is a call on named objects; a deadline is
// put on by the caller, with with_deadline. Nothing here is thread-safe: one io_context, one thread.
#pragma once

#include "base/error.h"

#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace berth {

namespace asio = boost::asio;

template <typename T>
using Task = asio::awaitable<Result<T>>;

// Completion token of the tree: errors come back as values, nothing throws.
inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// Waits; CANCELLED when the coroutine is cancelled meanwhile.
inline Task<void> sleep_for(std::chrono::nanoseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
  const auto [error] = co_await timer.async_wait(kAsTuple);
  if (error) co_return fail(Code::kCancelled, "", "cancelled while waiting");
  co_return Result<void>();
}

// Runs `task`; when `duration` has passed first, cancels it, waits until it has ended and returns
// DEADLINE_EXCEEDED. `task` must react to cancellation (every asio operation does).
template <typename T>
Task<T> with_deadline(std::chrono::nanoseconds duration, Task<T> task) {
  using namespace asio::experimental::awaitable_operators;
  auto outcome = co_await (std::move(task) || sleep_for(duration));
  if (outcome.index() == 0) co_return std::get<0>(std::move(outcome));
  co_return fail(Code::kDeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed");
}

}  // namespace berth
