#include "agent/wal_check.h"

#include "agent/sqlite.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

// A log as a killed process leaves it, of seven commits.
class WalCheckTest : public ::testing::Test {
 protected:
  WalCheckTest() {
    std::filesystem::create_directories(folder);
    auto database = SqliteDatabase::open(folder / "test.db").value();
    EXPECT_TRUE(
        database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                         "CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT) STRICT"));
    insert(database, 6);
    log = read(folder / "test.db-wal");
  }
  ~WalCheckTest() override { std::filesystem::remove_all(folder); }

  static void insert(SqliteDatabase& database, int count) {
    for (int i = 0; i < count; ++i)
      EXPECT_TRUE(database.execute("INSERT INTO numbers (text) VALUES (hex(randomblob(200)))"));
  }
  static std::string read(const std::filesystem::path& file) {
    std::ifstream bytes(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(bytes), {}};
  }
  std::string damaged_at(std::size_t at) const {
    std::string bad = log;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    return bad;
  }
  // Where the last commit, or the last but one, begins.
  std::size_t commit_from_end(int count) const {
    std::size_t at = log.size();
    for (int seen = 0; at > kHeader;) {
      at -= kFrame;
      if (log.substr(at + 4, 4) != std::string(4, '\0') && ++seen > count) return at + kFrame;
    }
    return kHeader;
  }

  static constexpr std::size_t kHeader = 32;
  static constexpr std::size_t kFrame = 24 + 4096;
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("berth-wal-{}", ::getpid());
  std::string log;
};

TEST_F(WalCheckTest, WhatSqliteWroteIsWhole) {
  ASSERT_EQ((log.size() - kHeader) % kFrame, 0U);
  EXPECT_TRUE(check_wal(log));
  EXPECT_TRUE(check_wal(""));
}

TEST_F(WalCheckTest, ACrashMayCutTheLastTransactionOffAnywhere) {
  for (std::size_t size = commit_from_end(1); size < log.size(); size += 100)
    EXPECT_TRUE(check_wal(std::string_view(log).substr(0, size))) << size;
  // Or have written only a part of it, in whatever order.
  for (std::size_t at = commit_from_end(1); at < log.size(); at += 100)
    EXPECT_TRUE(check_wal(damaged_at(at))) << at;
}

TEST_F(WalCheckTest, DamageBeforeTheLastTransactionIsNoticed) {
  for (std::size_t at = 0; at < commit_from_end(2); at += at < kHeader + 24 ? 1 : 37) {
    const auto verdict = check_wal(damaged_at(at));
    ASSERT_FALSE(verdict) << at;
    EXPECT_EQ(verdict.error().reason, "STATE_CORRUPT");
  }
}

TEST_F(WalCheckTest, FramesOfAnEarlierRoundDoNotCount) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  auto database = SqliteDatabase::open(folder / "test.db").value();
  ASSERT_TRUE(
      database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                       "CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT) STRICT"));
  insert(database, 20);
  ASSERT_TRUE(database.execute("PRAGMA wal_checkpoint(RESTART)"));
  const auto size = std::filesystem::file_size(folder / "test.db-wal");
  insert(database, 2);
  log = read(folder / "test.db-wal");
  ASSERT_EQ(log.size(), size) << "the old frames are still behind the new ones";
  EXPECT_TRUE(check_wal(log));
  EXPECT_FALSE(check_wal(damaged_at(kHeader + 30)));
}

}  // namespace
}  // namespace berth::agent
