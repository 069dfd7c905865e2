// A program as one coroutine: what a `main` needs between its first and its last line.
//
//   asio::io_context io(1);
//   const auto outcome = run_to_end(io, daemon.run());    // and in there: co_await wait_for_stop_signal();
#pragma once

#include "base/task.h"

#include <csignal>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace berth {

// Runs `task`, and then whatever it has left on `io`, until there is nothing more to do; returns what `task`
// returned, or throws what it threw. A coroutine that waits for ever keeps it here.
template <typename T>
T run_to_end(asio::io_context& io, asio::awaitable<T> task) {
  std::optional<T> outcome;
  asio::co_spawn(io, std::move(task), [&outcome](const std::exception_ptr& thrown, T returned) {
    if (thrown) std::rethrow_exception(thrown);
    outcome.emplace(std::move(returned));
  });
  io.run();
  return std::move(outcome).value();
}

inline void run_to_end(asio::io_context& io, asio::awaitable<void> task) {
  const auto whole = [](asio::awaitable<void> inner) -> asio::awaitable<bool> {
    co_await std::move(inner);
    co_return true;
  };
  (void)run_to_end(io, whole(std::move(task)));
}

// Until the process gets SIGINT or SIGTERM, which do not end it meanwhile, or the caller is cancelled.
inline asio::awaitable<void> wait_for_stop_signal() {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
  (void)co_await signals.async_wait(kAsTuple);
}

}  // namespace berth
