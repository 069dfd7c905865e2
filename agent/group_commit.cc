#include "agent/group_commit.h"

#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace berth::agent {

Task<std::uint64_t> GroupCommit::commit(Write write) {
  auto initiate = [this](auto handler, Write work) {
    const asio::any_io_executor home = asio::get_associated_executor(handler);
    waiting_.push_back({.write = std::move(work),
                        .resume = [handler = std::move(handler)](Result<std::uint64_t> outcome) mutable {
                          std::move(handler)(std::move(outcome));
                        }});
    if (!is_writing_) write_next(home);
  };
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(Result<std::uint64_t>)>(
      std::move(initiate), asio::use_awaitable, std::move(write));
}

// What waits now goes to the thread; what comes meanwhile is the next batch. Handlers are made, called and
// destroyed at home.
void GroupCommit::write_next(const asio::any_io_executor& home) {
  is_writing_ = true;
  auto batch = std::make_unique<Batch>(std::exchange(waiting_, {}));
  asio::post(thread_, [this, home, batch = std::move(batch), work = asio::make_work_guard(home)]() mutable {
    carry_out(database_, *batch);
    asio::post(home, [this, home, batch = std::move(batch), work = std::move(work)]() mutable {
      is_writing_ = false;
      if (!waiting_.empty()) write_next(home);
      for (Waiting& one : *batch) std::exchange(one.resume, {})(std::move(one.outcome));
    });
  });
}

void GroupCommit::carry_out(SqliteDatabase& database, Batch& batch) {
  const auto fail_all = [&](const Result<void>& why) {
    for (Waiting& one : batch) {
      if (one.outcome) one.outcome = pass(why);
    }
  };
  if (const auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return fail_all(begun);
  for (Waiting& one : batch) {
    const auto saved = database.execute("SAVEPOINT one");
    one.outcome = saved ? one.write(database) : Result<std::uint64_t>(pass(saved));
    const auto ended = database.execute(one.outcome ? "RELEASE one" : "ROLLBACK TO one; RELEASE one");
    if (one.outcome && !ended) one.outcome = pass(ended);
  }
  if (const auto committed = database.execute("COMMIT"); !committed) {
    (void)database.execute("ROLLBACK");  // why it came to this is what the callers are told
    fail_all(committed);
  }
}

}  // namespace berth::agent
