#include "base/task_group.h"

#include "base/offload.h"

#include <chrono>
#include <optional>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

namespace berth {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> wait_for_ever(bool& ended) {
  const auto waited = co_await sleep_for(24h);
  ended = !waited && waited.error().code == Code::kCancelled;
}

asio::awaitable<void> cancel_and_join(TaskGroup& group, bool& joined) {
  group.cancel();
  co_await group.join();
  joined = true;
}

TEST(TaskGroup, JoinReturnsWhenEveryCancelledTaskHasEnded) {
  asio::io_context io;
  TaskGroup group(io.get_executor());
  bool first_ended = false;
  bool second_ended = false;
  bool joined = false;
  group.spawn("first", wait_for_ever(first_ended));
  group.spawn("second", wait_for_ever(second_ended));
  io.poll();
  EXPECT_EQ(group.count(), 2U);

  asio::co_spawn(io, cancel_and_join(group, joined), asio::detached);
  io.run();

  EXPECT_TRUE(first_ended);
  EXPECT_TRUE(second_ended);
  EXPECT_TRUE(joined);
  EXPECT_EQ(group.count(), 0U);
}

TEST(TaskGroup, ATaskSpawnedAfterCancelNeverRuns) {
  asio::io_context io;
  TaskGroup group(io.get_executor());
  group.cancel();
  bool ended = false;
  group.spawn("late", wait_for_ever(ended));
  io.run();
  EXPECT_EQ(group.count(), 0U);
  EXPECT_FALSE(ended);
}

Task<int> answer_at_once() {
  co_return 42;
}
Task<int> never_answer() {
  (void)co_await sleep_for(24h);
  co_return 0;
}

template <typename T>
Result<T> run_to_end(Task<T> task) {
  asio::io_context io;
  std::optional<Result<T>> outcome;
  asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& thrown, Result<T> result) {
    if (!thrown) outcome = std::move(result);
  });
  io.run();
  return outcome.value();
}

TEST(WithDeadline, PassesTheResultOfATaskThatIsInTime) {
  EXPECT_EQ(run_to_end(with_deadline(24h, answer_at_once())).value(), 42);
}

TEST(WithDeadline, CancelsATaskThatIsLate) {
  const auto late = run_to_end(with_deadline(1ms, never_answer()));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
}

Task<bool> runs_elsewhere(asio::any_io_executor worker) {
  const auto home = std::this_thread::get_id();
  const auto away = co_await offload(worker, [] { return std::this_thread::get_id(); });
  co_return away != home&& std::this_thread::get_id() == home;
}

TEST(Offload, RunsOnTheWorkerAndResumesAtHome) {
  asio::io_context io;
  asio::thread_pool pool(1);  // dies first: a worker touches the caller's loop until the end
  std::optional<Result<bool>> outcome;
  asio::co_spawn(io, runs_elsewhere(pool.get_executor()),
                 [&](const std::exception_ptr&, Result<bool> result) { outcome = std::move(result); });
  io.run();
  EXPECT_TRUE(outcome.value().value());
}

}  // namespace
}  // namespace berth
