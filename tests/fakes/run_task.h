// Drives coroutines in tests: one io_context, run until the task has ended.
#pragma once

#include "base/task.h"

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace berth::testing {

// Runs `task` and whatever it needs; returns its value. Throws when the loop has nothing left to do
// and the task has not ended: it waits for something that never comes.
template <typename T>
T run_until_done(asio::io_context& io, asio::awaitable<T> task) {
  std::optional<T> outcome;
  std::exception_ptr thrown;
  asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& error, T value) {
    thrown = error;
    if (!error) outcome = std::move(value);
  });
  io.restart();
  while (!outcome && !thrown && io.run_one() > 0) {
  }
  if (thrown) std::rethrow_exception(thrown);
  if (!outcome) throw std::runtime_error("the task waits for something that never comes");
  return *std::move(outcome);
}

inline void run_until_done(asio::io_context& io, asio::awaitable<void> task) {
  const auto whole = [](asio::awaitable<void> inner) -> asio::awaitable<bool> {
    co_await std::move(inner);
    co_return true;
  };
  (void)run_until_done(io, whole(std::move(task)));
}

}  // namespace berth::testing
