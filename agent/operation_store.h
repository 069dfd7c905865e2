// Operations by id and by request, and the feed of completions. An operation ends when its end is on the disk
// (state_db.h); what has ended is known to the next process, too.
#pragma once

#include "agent/feed.h"
#include "agent/operation.h"
#include "agent/state_db.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace berth::agent {

// What is known of an operation when it begins.
struct NewOperation {
  OperationKind kind = OperationKind::kAttach;
  RequestId request;
  std::string fingerprint;  // what was asked: find_request() compares it
  AttachmentId attachment;
  std::string traceparent = {};
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
};

class OperationStore {
 public:
  // Finished operations beyond this many are on the disk only, those without a disk forgotten; oldest first.
  static constexpr std::size_t kMaxFinished = StateDb::kMaxLoaded;

  // `state` outlives this.
  OperationStore(asio::any_io_executor executor, StateDb& state);

  // Once, before anything else.
  void restore(const SavedState& saved);

  // Nobody hears of the operation until it is accepted.
  OperationId begin(NewOperation wanted);
  // The same, accepted, for one that a former process of ours began: it keeps its id.
  void resume(OperationId id, NewOperation wanted);
  // It is on the disk that it has begun.
  void accept(const OperationId& id);
  // It never began.
  void forget(const OperationId& id);

  // The operation of an earlier request with this id, or nothing; one that is not accepted yet is waited for.
  // INVALID_ARGUMENT (REQUEST_ID_REUSED) when it asked for something else.
  Task<std::optional<Operation>> find_request(RequestId request, std::string fingerprint);
  // Whether there is an operation of this request, accepted or not; those on the disk only are not looked at.
  bool is_known(const RequestId& request) const { return by_request_.contains(request); }

  // NOT_FOUND (OPERATION_UNKNOWN).
  Task<Operation> find(OperationId id);

  // Of a running operation.
  const Operation& running(const OperationId& id) const { return operations_.at(id).operation; }

  const std::string& fingerprint_of(const OperationId& id) const { return operations_.at(id).fingerprint; }

  // Those that run, by id, and the last ones that have ended, the latest first; beyond kMaxFinished nothing.
  std::vector<Operation> list_running() const;
  std::vector<Operation> list_finished(std::optional<std::uint64_t> before_revision, std::size_t limit,
                                       const AttachmentId& of) const;

  // The steps of a running operation. LIFETIME: until it is finished.
  std::vector<StepRecord>& steps(const OperationId& id) { return operations_.at(id).operation.steps; }

  // Ends the operation when that is on the disk, together with what is left of the attachment, and appends it
  // to the feed. UNAVAILABLE (STATE_UNWRITABLE): it has not ended.
  Task<void> finish(OperationId id, std::optional<Error> error, AttachmentEnd left);

  // Returns when the operation is done.
  Task<Operation> wait(OperationId id);

  Feed<Operation>& completions() { return completions_; }
  // Set: the VMaaS is to be told of every end.
  void set_has_outbox(bool has_outbox) { has_outbox_ = has_outbox; }

 private:
  struct Entry {
    Operation operation;
    std::string fingerprint;
    bool is_accepted = false;
  };

  void remember_finished(const OperationId& id);

  StateDb& state_;
  bool has_outbox_ = false;
  std::map<OperationId, Entry> operations_;
  std::map<RequestId, OperationId> by_request_;
  std::deque<OperationId> finished_;  // oldest first
  // Of requests whose operations are on the disk only (StateDb::request_hash).
  std::unordered_set<std::uint64_t> older_requests_;
  Feed<Operation> completions_;
  Signal changed_;  // an operation was accepted, forgotten or finished
};

}  // namespace berth::agent
