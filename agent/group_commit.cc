#include "agent/group_commit.h"

#include "base/offload.h"

#include <utility>

namespace berth::agent {

// The first of those that wait carries out the others, too; they find it done.
Task<void> GroupCommit::write(Write write) {
  auto mine = std::make_shared<Waiting>(std::move(write), std::nullopt);
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(mine);
  }
  co_return co_await offload(thread_.get_executor(), [this, mine = std::move(mine)] {
    if (!mine->outcome) commit_all();
    return *mine->outcome;
  });
}

void GroupCommit::commit_all() {
  Batch batch;
  {
    const std::scoped_lock lock(mutex_);
    batch.swap(waiting_);
  }
  const auto together = commit(batch);
  for (const auto& one : batch) one->outcome = together || batch.size() == 1 ? together : commit({one});
}

Result<void> GroupCommit::commit(const Batch& batch) {
  if (auto begun = database_.execute("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> outcome;
  for (const auto& one : batch) {
    if (outcome) outcome = one->write();
  }
  if (outcome) outcome = database_.execute("COMMIT");
  if (!outcome) (void)database_.execute("ROLLBACK");  // why it came to this has been said
  return outcome;
}

}  // namespace berth::agent
