// Runs a blocking function on another executor (a thread pool) and resumes here with its result.
//
// The function owns all it needs (captures by value): when the caller is cancelled it still runs to
// its end, and its result is dropped.
#pragma once

#include "base/task.h"

#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

namespace berth {

template <typename Function>
asio::awaitable<std::invoke_result_t<Function>> offload(asio::any_io_executor worker, Function function) {
  using Value = std::invoke_result_t<Function>;
  auto initiate = [](auto handler, asio::any_io_executor on, Function work) {
    auto home =
        asio::prefer(asio::get_associated_executor(handler), asio::execution::outstanding_work.tracked);
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    asio::post(on, [shared, home, work = std::move(work)]() mutable {
      auto value = std::make_shared<Value>(work());
      asio::post(home, [shared, value] { std::move (*shared)(std::move(*value)); });
    });
  };
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(Value)>(
      std::move(initiate), asio::use_awaitable, std::move(worker), std::move(function));
}

}  // namespace berth
