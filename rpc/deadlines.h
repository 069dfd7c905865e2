// Many deadlines on one timer: an add() or remove() is a map operation, and the kernel's timer moves
// only when a deadline comes that is earlier than all others.
#pragma once

#include "base/task.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace berth::rpc {

class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Action = std::move_only_function<void()>;
  using Entries = std::multimap<Time, Action>;
  // Valid until its action has begun or it was removed.
  using Handle = Entries::iterator;

  explicit Deadlines(asio::any_io_executor executor);
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  // `action` runs from the io_context, never inside add().
  Handle add(Time when, Action action);
  void remove(Handle handle);

 private:
  struct State;
  static void arm(const std::shared_ptr<State>& state);
  static void fire(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace berth::rpc
