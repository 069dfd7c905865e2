// Operations by id and by request, and the feed of completions. In memory: after a restart those of the
// attachments that exist are known (state_db.h), the others are forgotten.
#pragma once

#include "agent/feed.h"
#include "agent/operation.h"

#include <deque>
#include <map>
#include <string>

namespace berth::agent {

class OperationStore {
 public:
  // Finished operations beyond this many are forgotten, oldest first.
  static constexpr std::size_t kMaxFinished = 10000;

  explicit OperationStore(asio::any_io_executor executor);

  // `fingerprint` is what was asked: find_request() compares it. The reference is good until the
  // operation has been finished.
  Operation& begin(OperationKind kind, RequestId request, std::string fingerprint, AttachmentId attachment,
                   std::chrono::steady_clock::time_point begun);
  // The same for one that a former process of ours began: it keeps its id.
  Operation& resume(OperationId id, OperationKind kind, RequestId request, std::string fingerprint,
                    AttachmentId attachment);
  // One that a former process finished well. Watchers of completions have heard of it then.
  void restore_finished(OperationId id, RequestId request, std::string fingerprint, Attachment result);

  // The operation of an earlier request with this id, or nullptr. INVALID_ARGUMENT
  // (REQUEST_ID_REUSED) when that one asked for something else.
  Result<const Operation*> find_request(const RequestId& request, const std::string& fingerprint) const;

  // NOT_FOUND (OPERATION_UNKNOWN).
  Result<Operation> find(const OperationId& id) const;

  // The steps of a running operation. LIFETIME: until it is finished.
  std::vector<StepRecord>& steps(const OperationId& id) { return operations_.at(id).operation.steps; }

  // Marks the operation done and appends it to the feed.
  void finish(const OperationId& id, std::optional<Error> error, std::optional<Attachment> result);

  // Returns when the operation is done.
  Task<Operation> wait(OperationId id);

  Feed<Operation>& completions() { return completions_; }

 private:
  struct Entry {
    Operation operation;
    std::string fingerprint;
  };

  void remember_finished(const OperationId& id);

  std::map<OperationId, Entry> operations_;
  std::map<RequestId, OperationId> by_request_;
  std::deque<OperationId> finished_;  // oldest first
  Feed<Operation> completions_;
  Signal finished_one_;
};

}  // namespace berth::agent
