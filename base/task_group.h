// The one way to start a coroutine beside the current one. Whoever owns a TaskGroup can stop what it
// started and knows when all of it has ended:
//
//   TaskGroup tasks(executor);
//   tasks.spawn("watch", watch());       // runs until it ends or is cancelled
//   ...
//   tasks.cancel();                      // asks every task to end (terminal cancellation)
//   co_await tasks.join();               // returns when the last one has ended
//
// The destructor asserts that the group is empty. A task that throws is a bug: it is logged by name
// and the process dies, because nobody is left to handle it.
#pragma once

#include "base/task.h"

#include <cstddef>
#include <list>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

namespace berth {

class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // `name` appears in the log should the task throw. May run the task's first step before it returns.
  // After cancel() a new task is dropped without having run.
  void spawn(std::string name, asio::awaitable<void> task);
  // Idempotent.
  void cancel();
  // Returns when no task is left, however it ended. From then on the coroutine that called it cannot be
  // cancelled: joining is the last thing that it does.
  asio::awaitable<void> join();
  std::size_t count() const { return running_.size(); }

 private:
  using Running = std::list<asio::cancellation_signal>;
  void finish(Running::iterator task);

  asio::any_io_executor executor_;
  Running running_;
  asio::steady_timer emptied_;  // never expires; cancelled to wake join()
  bool cancelled_ = false;
};

}  // namespace berth
