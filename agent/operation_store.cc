#include "agent/operation_store.h"

#include "agent/random_id.h"

#include <cassert>
#include <utility>

namespace berth::agent {
namespace {

constexpr std::size_t kKeptCompletions = 4096;

}  // namespace

OperationStore::OperationStore(asio::any_io_executor executor)
    : completions_(executor, kKeptCompletions), finished_one_(executor) {}

Operation& OperationStore::begin(OperationKind kind, RequestId request, std::string fingerprint,
                                 AttachmentId attachment, std::chrono::steady_clock::time_point begun) {
  Operation& operation = resume(OperationId::trusted(random_id("op")), kind, std::move(request),
                                std::move(fingerprint), std::move(attachment));
  operation.begun = begun;
  return operation;
}

Operation& OperationStore::resume(OperationId id, OperationKind kind, RequestId request,
                                  std::string fingerprint, AttachmentId attachment) {
  Entry entry{.operation = {.id = id,
                            .kind = kind,
                            .request = request,
                            .attachment = std::move(attachment),
                            .begun = std::chrono::steady_clock::now()},
              .fingerprint = std::move(fingerprint)};
  by_request_[request] = id;
  return operations_.emplace(id, std::move(entry)).first->second.operation;
}

Result<const Operation*> OperationStore::find_request(const RequestId& request,
                                                      const std::string& fingerprint) const {
  const auto found = by_request_.find(request);
  if (found == by_request_.end()) return nullptr;
  const Entry& entry = operations_.at(found->second);
  if (entry.fingerprint != fingerprint) {
    return fail_field("request_id", "REQUEST_ID_REUSED",
                      fmt::format("{} was used for another request ({})", request, entry.operation.id));
  }
  return &entry.operation;
}

Result<Operation> OperationStore::find(const OperationId& id) const {
  const auto found = operations_.find(id);
  if (found == operations_.end()) {
    return fail(Code::kNotFound, "OPERATION_UNKNOWN", fmt::format("operation {} is not known", id));
  }
  return found->second.operation;
}

void OperationStore::finish(const OperationId& id, std::optional<Error> error,
                            std::optional<Attachment> result) {
  Operation& operation = operations_.at(id).operation;
  assert(!operation.done);
  operation.done = true;
  operation.error = std::move(error);
  operation.result = std::move(result);
  operation.total = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                          operation.begun);
  operation.revision = completions_.next_revision();
  completions_.append(operation);
  finished_one_.notify_all();
  remember_finished(id);
}

void OperationStore::restore_finished(OperationId id, RequestId request, std::string fingerprint,
                                      Attachment result) {
  Operation& operation =
      resume(id, OperationKind::kAttach, std::move(request), std::move(fingerprint), result.id);
  operation.done = true;
  operation.result = std::move(result);
  remember_finished(id);
}

void OperationStore::remember_finished(const OperationId& id) {
  finished_.push_back(id);
  if (finished_.size() > kMaxFinished) {
    const auto oldest = operations_.find(finished_.front());
    // A request id may have moved on to a later operation.
    if (const auto of_request = by_request_.find(oldest->second.operation.request);
        of_request != by_request_.end() && of_request->second == oldest->first) {
      by_request_.erase(of_request);
    }
    operations_.erase(oldest);
    finished_.pop_front();
  }
}

Task<Operation> OperationStore::wait(OperationId id) {
  while (true) {
    auto operation = find(id);
    if (!operation || operation->done) co_return operation;
    const auto woken = co_await finished_one_.wait();
    if (!woken) co_return pass(woken);
  }
}

}  // namespace berth::agent
