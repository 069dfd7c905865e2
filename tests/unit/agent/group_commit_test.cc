#include "agent/group_commit.h"

#include "base/task_group.h"
#include "tests/fakes/test_folder.h"

#include <latch>

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

class GroupCommitTest : public ::testing::Test {
 protected:
  GroupCommitTest() {
    EXPECT_TRUE(
        database.execute("PRAGMA journal_mode = WAL; CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT"));
  }

  // Holds the thread until release(), so that what follows has to wait, and is one batch.
  void hold() {
    start([this](SqliteDatabase&) {
      held.wait();
      return Result<std::uint64_t>(0);
    });
  }
  void release() { held.count_down(); }
  void insert(int number) { execute(fmt::format("INSERT INTO numbers VALUES ({})", number)); }
  void execute(std::string sql) {
    start([sql = std::move(sql)](SqliteDatabase& into) -> Result<std::uint64_t> {
      if (const auto done = into.execute(sql); !done) return pass(done);
      return 0;
    });
  }
  void start(GroupCommit::Write write) {
    const std::size_t at = outcomes.size();
    outcomes.emplace_back();
    tasks.spawn(
        "write",
        [](GroupCommitTest& self, GroupCommit::Write what, std::size_t place) -> asio::awaitable<void> {
          self.outcomes[place] = co_await self.commits.commit(std::move(what));
        }(*this, std::move(write), at));
  }
  std::int64_t count(SqliteDatabase& as_seen_by) {
    return as_seen_by.query_integer("SELECT count(*) FROM numbers").value();
  }

  const testing::TestFolder folder{"commits"};
  SqliteDatabase database = SqliteDatabase::open(folder / "test.db").value();
  SqliteDatabase reader = SqliteDatabase::open(folder / "test.db").value();  // sees what was committed
  asio::io_context io;
  TaskGroup tasks{io.get_executor()};
  std::latch held{1};
  std::vector<Result<std::uint64_t>> outcomes;
  GroupCommit commits{database};
};

TEST_F(GroupCommitTest, WritesThatWaitAreOneTransaction) {
  hold();
  for (int i = 0; i < 10; ++i) insert(i);
  std::int64_t seen = -1;
  start([&](SqliteDatabase&) {
    seen = count(reader);
    return Result<std::uint64_t>(0);
  });
  release();
  io.run();
  EXPECT_EQ(seen, 0) << "the last write of the batch ran before any was committed";
  EXPECT_EQ(count(reader), 10);
}

TEST_F(GroupCommitTest, ARefusedWriteTakesNoOtherWithIt) {
  hold();
  for (const int number : {1, 2, 1, 3}) insert(number);
  release();
  io.run();
  EXPECT_TRUE(outcomes[1]);
  EXPECT_TRUE(outcomes[2]);
  EXPECT_FALSE(outcomes[3]);
  EXPECT_TRUE(outcomes[4]);
  EXPECT_EQ(count(reader), 3);
}

TEST_F(GroupCommitTest, WritesTakeEffectInOrder) {
  hold();
  insert(1);
  execute("DELETE FROM numbers");
  insert(2);
  release();
  io.run();
  EXPECT_EQ(count(reader), 1);
  EXPECT_EQ(reader.query_integer("SELECT n FROM numbers").value(), 2);
}

}  // namespace
}  // namespace berth::agent
