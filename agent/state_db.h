// What berthd must still know after a restart: attachments, the VPCs of the last push that was accepted,
// and the next hops of the underlay. A SQLite database in `state_dir`, with one thread that writes it. A row
// is on the disk before what it announces is done, so that a start can finish whatever was half-way.
// Schema and cures: docs/rule-holder.md.
#pragma once

#include "agent/attachment.h"
#include "agent/operation.h"
#include "base/task.h"
#include "dataplane/vpc.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace berth::agent {

// A function that goes back to the pool, and which lease its next one is.
struct FreedFunction {
  std::uint16_t index = 0;
  std::uint64_t generation = 0;
};

// An attachment and the operation that made it what it is; the gate follows from the state.
struct SavedAttachment {
  Attachment attachment;
  OperationId operation;
  RequestId request;
  std::string fingerprint;  // of the request: agent/operation.h
};

struct SavedState {
  std::vector<SavedAttachment> attachments;
  dataplane::VpcSet vpcs;
  std::uint64_t vpcs_version = 0;  // 0: no push was ever accepted
  std::map<IpAddress, MacAddress> next_hops;
  std::map<std::uint16_t, std::uint64_t> generations;  // of functions that were leased before

  bool is_empty() const { return attachments.empty() && vpcs.empty(); }
};

class StateDb {
 public:
  // Keeps nothing.
  StateDb();
  // Opens or makes `folder`/state.db, for this process alone. Blocks. DATA_LOSS (STATE_CORRUPT),
  // FAILED_PRECONDITION (STATE_IN_USE, STATE_VERSION: another schema), UNAVAILABLE (STATE_UNWRITABLE).
  static Result<StateDb> open(const std::filesystem::path& folder);
  ~StateDb();
  StateDb(StateDb&&) noexcept;
  StateDb& operator=(StateDb&&) = delete;

  // Blocks. DATA_LOSS (STATE_CORRUPT).
  Result<SavedState> load();

  // Each returns when it is on the disk; UNAVAILABLE (STATE_UNWRITABLE) when it is not, and then nothing of
  // it is. Idempotent.
  Task<void> save(SavedAttachment attachment);
  // The attachment is gone and its function is of the next generation: both, or neither.
  Task<void> erase(AttachmentId attachment, FreedFunction freed);
  // Those of `changed` as they are in `vpcs`; the ones that are not there any more go.
  Task<void> save_vpcs(std::shared_ptr<const dataplane::VpcSet> vpcs, std::set<VpcId> changed,
                       std::uint64_t version);
  Task<void> save_next_hops(std::map<IpAddress, MacAddress> next_hops);

 private:
  class Impl;
  explicit StateDb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::agent
