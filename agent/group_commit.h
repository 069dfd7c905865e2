// Writes to the state database share what costs: all that wait for the disk go there in one transaction, with
// one fsync. One thread writes.
#pragma once

#include "agent/sqlite.h"
#include "base/task.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <boost/asio/thread_pool.hpp>

namespace berth::agent {

class GroupCommit {
 public:
  // LIFETIME: `database` outlives this; from the first write on it is this one's thread's alone.
  explicit GroupCommit(SqliteDatabase& database) : database_(database) {}
  ~GroupCommit() { thread_.join(); }
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Runs on the thread, inside a transaction that is not its own; the statements of it.
  using Write = std::function<Result<void>()>;
  // Returns when it is on the disk; when it is not, nothing of it is. Writes take effect in the order in
  // which they were asked for. A write that is refused takes no other one with it.
  Task<void> write(Write write);

 private:
  struct Waiting {
    Write write;
    std::optional<Result<void>> outcome;
  };
  using Batch = std::vector<std::shared_ptr<Waiting>>;

  void commit_all();
  Result<void> commit(const Batch& batch);

  SqliteDatabase& database_;
  std::mutex mutex_;
  Batch waiting_;  // guarded by mutex_
  asio::thread_pool thread_{1};
};

}  // namespace berth::agent
