#include "base/signal.h"

#include "base/async_mutex.h"
#include "base/task_group.h"

#include <algorithm>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace berth {
namespace {

asio::awaitable<void> wait_once(Signal& signal, std::vector<Result<void>>& outcomes) {
  outcomes.push_back(co_await signal.wait());
}

TEST(Signal, OneNotificationWakesAllWhoWaitAndNobodyLater) {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup tasks(io.get_executor());
  std::vector<Result<void>> outcomes;
  signal.notify_all();  // remembered by nobody
  tasks.spawn("first", wait_once(signal, outcomes));
  tasks.spawn("second", wait_once(signal, outcomes));
  io.poll();
  EXPECT_TRUE(outcomes.empty());

  signal.notify_all();
  EXPECT_TRUE(outcomes.empty()) << "resumed inside notify_all()";
  tasks.spawn("late", wait_once(signal, outcomes));
  io.poll();
  ASSERT_EQ(outcomes.size(), 2U);
  EXPECT_TRUE(outcomes[0] && outcomes[1]);

  signal.notify_all();
  io.run();
  EXPECT_EQ(outcomes.size(), 3U);
}

TEST(Signal, AWaitingTaskIsCancelled) {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup tasks(io.get_executor());
  TaskGroup others(io.get_executor());
  std::vector<Result<void>> cancelled;
  std::vector<Result<void>> woken;
  tasks.spawn("cancelled", wait_once(signal, cancelled));
  others.spawn("waits on", wait_once(signal, woken));
  io.poll();
  tasks.cancel();
  io.poll();
  ASSERT_EQ(cancelled.size(), 1U);
  EXPECT_EQ(cancelled[0].error().code, Code::kCancelled);
  EXPECT_TRUE(woken.empty());

  signal.notify_all();
  io.run();
  EXPECT_EQ(woken.size(), 1U);
}

TEST(Signal, ATaskWokenAndCancelledAtOnceIsCancelled) {
  asio::io_context io;
  Signal signal(io.get_executor());
  TaskGroup tasks(io.get_executor());
  std::vector<Result<void>> outcomes;
  tasks.spawn("both", wait_once(signal, outcomes));
  io.poll();
  // On the io_context's own thread: from outside, asio 1.26 posts the cancellation to a task that may
  // have ended by then.
  asio::post(io, [&] {
    signal.notify_all();
    tasks.cancel();
  });
  io.run();
  ASSERT_EQ(outcomes.size(), 1U);
  ASSERT_FALSE(outcomes[0]);
  EXPECT_EQ(outcomes[0].error().code, Code::kCancelled);
}

TEST(Signal, MayDieWithItsWaiters) {
  asio::io_context io;
  std::vector<Result<void>> outcomes;
  bool destroyed = false;
  struct Mark {
    ~Mark() { *flag = true; }
    bool* flag;
  };
  const auto wait = [&](Signal& signal) -> asio::awaitable<void> {
    const Mark mark{&destroyed};
    (void)co_await signal.wait();
    outcomes.emplace_back();
  };
  {
    Signal signal(io.get_executor());
    asio::co_spawn(io, wait(signal), [](const std::exception_ptr&) {});
    io.poll();
  }
  io.run();
  EXPECT_TRUE(destroyed);
  EXPECT_TRUE(outcomes.empty());
}

asio::awaitable<void> hold(AsyncMutex& mutex, int& inside, int& most) {
  const auto lock = co_await mutex.lock();
  EXPECT_TRUE(lock);
  most = std::max(most, ++inside);
  co_await asio::post(asio::use_awaitable);
  --inside;
}

TEST(AsyncMutex, LetsOneInAtATime) {
  asio::io_context io;
  AsyncMutex mutex(io.get_executor());
  TaskGroup tasks(io.get_executor());
  int inside = 0;
  int most = 0;
  for (int i = 0; i < 5; ++i) tasks.spawn("holder", hold(mutex, inside, most));
  io.run();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(inside, 0);
}

asio::awaitable<void> note_turn(AsyncMutex& mutex, int number, std::vector<int>& turns) {
  const auto lock = co_await mutex.lock();
  if (!lock) co_return;
  turns.push_back(number);
  co_await asio::post(asio::use_awaitable);
}

TEST(AsyncMutex, WhoCameFirstIsNext) {
  asio::io_context io;
  AsyncMutex mutex(io.get_executor());
  TaskGroup tasks(io.get_executor());
  std::vector<int> turns;
  for (int i = 0; i < 5; ++i) tasks.spawn("holder", note_turn(mutex, i, turns));
  io.run();
  EXPECT_EQ(turns, (std::vector{0, 1, 2, 3, 4}));
}

// Who is given its turn when it has been cancelled, and does not know yet, must not keep it from the next
// one.
TEST(AsyncMutex, ATurnThatNobodyTakesIsPassedOn) {
  asio::io_context io;
  AsyncMutex mutex(io.get_executor());
  TaskGroup tasks(io.get_executor());
  TaskGroup cancelled(io.get_executor());
  std::vector<int> turns;
  std::optional<AsyncMutex::Lock> held;
  tasks.spawn("first",
              [](AsyncMutex& to_lock, std::optional<AsyncMutex::Lock>& into) -> asio::awaitable<void> {
                auto lock = co_await to_lock.lock();
                into.emplace(*std::move(lock));
              }(mutex, held));
  io.poll();
  cancelled.spawn("cancelled when its turn has come", note_turn(mutex, 1, turns));
  cancelled.spawn("cancelled before", note_turn(mutex, 2, turns));
  tasks.spawn("last", note_turn(mutex, 3, turns));
  io.poll();
  held.reset();
  cancelled.cancel();
  io.restart();
  io.run();
  EXPECT_EQ(turns, (std::vector{1, 3}));
  EXPECT_EQ(tasks.count() + cancelled.count(), 0U);
}

}  // namespace
}  // namespace berth
