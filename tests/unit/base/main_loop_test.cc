#include "base/main_loop.h"

#include <csignal>
#include <stdexcept>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace berth {
namespace {

using namespace std::chrono_literals;

Task<int> answer_later() {
  (void)co_await sleep_for(1ms);
  co_return 42;
}

asio::awaitable<void> fall_over() {
  (void)co_await sleep_for(1ms);
  throw std::runtime_error("fell over");
}

asio::awaitable<void> leave_work_behind(asio::steady_timer& later, bool& is_done) {
  later.expires_after(1ms);
  later.async_wait([&is_done](boost::system::error_code) { is_done = true; });
  co_return;
}

asio::awaitable<void> stop_by(int signal_number, bool& has_ended) {
  // The kernel's signal comes when the coroutine waits for it already.
  asio::post(co_await asio::this_coro::executor, [signal_number] { ::raise(signal_number); });
  co_await wait_for_stop_signal();
  has_ended = true;
}

TEST(RunToEnd, ReturnsWhatTheCoroutineReturned) {
  asio::io_context io(1);
  EXPECT_EQ(run_to_end(io, answer_later()).value(), 42);
}

TEST(RunToEnd, ThrowsWhatTheCoroutineThrew) {
  asio::io_context io(1);
  EXPECT_THROW(run_to_end(io, fall_over()), std::runtime_error);
}

TEST(RunToEnd, EndsWhenNothingIsLeftToDo) {
  asio::io_context io(1);
  asio::steady_timer later(io);
  bool is_done = false;
  run_to_end(io, leave_work_behind(later, is_done));
  EXPECT_TRUE(is_done);
}

TEST(WaitForStopSignal, EndsBySigintAndSigterm) {
  for (const int signal_number : {SIGINT, SIGTERM}) {
    asio::io_context io(1);
    bool has_ended = false;
    run_to_end(io, stop_by(signal_number, has_ended));
    EXPECT_TRUE(has_ended) << signal_number;
  }
}

}  // namespace
}  // namespace berth
