// Writes of a SQLite database from one thread, many in one transaction: whoever waits for the disk waits for
// one fsync together with all who came while the last one ran.
//
// Writes are carried out, and their callers resumed, in the order in which they were asked for. A write that
// fails leaves nothing behind and does no harm to the others; when the transaction cannot be committed, all
// of it fails. A caller that is cancelled still waits for its end. LIFETIME: the callers' io_context outlives
// this.
#pragma once

#include "agent/sqlite.h"
#include "base/task.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

namespace berth::agent {

class GroupCommit {
 public:
  // What to write; its number is handed to the caller.
  using Write = std::move_only_function<Result<std::uint64_t>(SqliteDatabase&)>;

  // `database` outlives this, and is nobody else's from now on.
  explicit GroupCommit(SqliteDatabase& database) : database_(database) {}
  ~GroupCommit() { thread_.join(); }
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // UNAVAILABLE (STATE_UNWRITABLE) when it is not on the disk.
  Task<std::uint64_t> commit(Write write);
  // Nothing is being written and nothing waits to be: the database may be used from here.
  bool is_idle() const { return !is_writing_ && waiting_.empty(); }

 private:
  struct Waiting {
    Write write;
    Result<std::uint64_t> outcome = 0;
    std::move_only_function<void(Result<std::uint64_t>)> resume;
  };
  using Batch = std::vector<Waiting>;

  void write_next(const asio::any_io_executor& home);
  static void carry_out(SqliteDatabase& database, Batch& batch);

  SqliteDatabase& database_;
  Batch waiting_;
  bool is_writing_ = false;
  asio::thread_pool thread_{1};
};

}  // namespace berth::agent
