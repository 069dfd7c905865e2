#include "agent/feed.h"

#include "tests/fakes/run_task.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using berth::testing::run_until_done;

TEST(Feed, ReadersSeeEveryEventInOrder) {
  asio::io_context io;
  Feed<int> feed(io.get_executor(), 10);
  feed.append(7);
  feed.append(8);
  EXPECT_EQ(run_until_done(io, feed.next_after(0)).value(), 7);
  EXPECT_EQ(run_until_done(io, feed.next_after(1)).value(), 8);
}

TEST(Feed, AReaderAtTheEndWaitsForTheNext) {
  asio::io_context io;
  Feed<int> feed(io.get_executor(), 10);
  asio::post(io, [&] { feed.append(7); });
  EXPECT_EQ(run_until_done(io, feed.next_after(0)).value(), 7);
}

TEST(Feed, AReaderTooFarBehindIsTold) {
  asio::io_context io;
  Feed<int> feed(io.get_executor(), 2);
  for (int i = 0; i < 4; ++i) feed.append(i);
  EXPECT_EQ(run_until_done(io, feed.next_after(1)).error().reason, "WATCH_COMPACTED");
  EXPECT_EQ(run_until_done(io, feed.next_after(2)).value(), 2);
}

TEST(Feed, TheFutureIsRefused) {
  asio::io_context io;
  Feed<int> feed(io.get_executor(), 2);
  EXPECT_EQ(run_until_done(io, feed.next_after(1)).error().reason, "REVISION_IN_FUTURE");
}

}  // namespace
}  // namespace berth::agent
