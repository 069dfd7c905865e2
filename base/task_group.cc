#include "base/task_group.h"

#include "base/log.h"

#include <cassert>
#include <exception>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/multiple_exceptions.hpp>

namespace berth {
namespace {

[[noreturn]] void die(const std::string& name, const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    log_event(LogLevel::kError, "task threw", {{"task", name}, {"what", error.what()}});
  } catch (...) {
    log_event(LogLevel::kError, "task threw", {{"task", name}, {"what", "not a std::exception"}});
  }
  std::terminate();
}

// Cancellation makes the next co_await of a task throw operation_aborted; that is a normal end.
bool is_cancellation(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (const asio::multiple_exceptions& errors) {  // from awaitable operators
    return is_cancellation(errors.first_exception());
  } catch (...) {
    return false;
  }
}

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : executor_(executor), emptied_(executor, asio::steady_timer::time_point::max()) {}

TaskGroup::~TaskGroup() {
  assert(running_.empty() && "a TaskGroup must be joined before it dies");
}

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  if (cancelled_) return;
  const auto entry = running_.emplace(running_.end());
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(
                     entry->slot(), [this, entry, name = std::move(name)](const std::exception_ptr& thrown) {
                       if (thrown && !is_cancellation(thrown)) die(name, thrown);
                       finish(entry);
                     }));
}

void TaskGroup::cancel() {
  cancelled_ = true;
  // A task may end inside emit() and take its entry with it: step first, emit second.
  for (auto it = running_.begin(); it != running_.end();) {
    const auto current = it++;
    current->emit(asio::cancellation_type::terminal);
  }
}

asio::awaitable<void> TaskGroup::join() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (!running_.empty()) (void)co_await emptied_.async_wait(kAsTuple);
}

void TaskGroup::finish(Running::iterator task) {
  running_.erase(task);
  if (running_.empty()) emptied_.cancel();
}

}  // namespace berth
