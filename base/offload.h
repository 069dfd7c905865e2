// Runs a blocking function on another executor (a thread pool) and resumes here with its result.
//
// The function owns all it needs (captures by value). A caller that is cancelled still waits for its end.
// LIFETIME: the caller's io_context outlives the worker's threads; a worker touches it a moment longer than
// the caller waits.
#pragma once

#include "base/task.h"

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace berth {

template <typename Handler, typename Value>
struct Waiting {
  Waiting(Handler resume, const asio::any_io_executor& home)
      : handler(std::move(resume)), keeps_home_running(home) {}
  Handler handler;
  asio::executor_work_guard<asio::any_io_executor> keeps_home_running;
  std::optional<Value> value;
};

template <typename Function>
asio::awaitable<std::invoke_result_t<Function>> offload(asio::any_io_executor worker, Function function) {
  using Value = std::invoke_result_t<Function>;
  auto initiate = [](auto handler, asio::any_io_executor on, Function work) {
    const auto home = asio::get_associated_executor(handler);
    // Made and destroyed at home, whatever the worker does: the handler, and the work that keeps home's
    // loop running meanwhile.
    auto waiting = std::make_unique<Waiting<decltype(handler), Value>>(std::move(handler), home);
    asio::post(on, [waiting = std::move(waiting), home, work = std::move(work)]() mutable {
      waiting->value.emplace(work());
      asio::post(home, [waiting = std::move(waiting)]() mutable {
        auto resume = std::move(waiting->handler);
        auto value = *std::move(waiting->value);
        waiting.reset();
        std::move(resume)(std::move(value));
      });
    });
  };
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(Value)>(
      std::move(initiate), asio::use_awaitable, std::move(worker), std::move(function));
}

}  // namespace berth
