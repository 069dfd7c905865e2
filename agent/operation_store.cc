#include "agent/operation_store.h"

#include "agent/random_id.h"

#include <cassert>
#include <utility>

namespace berth::agent {
namespace {

constexpr std::size_t kKeptCompletions = 4096;

std::unexpected<Error> request_reused(const RequestId& request, const OperationId& earlier) {
  return fail_field("request_id", "REQUEST_ID_REUSED",
                    fmt::format("{} was used for another request ({})", request, earlier));
}

}  // namespace

OperationStore::OperationStore(asio::any_io_executor executor, StateDb& state)
    : state_(state), completions_(executor, kKeptCompletions), changed_(executor) {}

void OperationStore::restore(const SavedState& saved) {
  older_requests_.insert(saved.older_requests.begin(), saved.older_requests.end());
  for (const FinishedOperation& finished : saved.operations) {
    const Operation& operation = finished.operation;
    by_request_[operation.request] = operation.id;
    operations_[operation.id] = {operation, finished.fingerprint, true};
    remember_finished(operation.id);
    completions_.append(operation, operation.revision);
  }
}

OperationId OperationStore::begin(NewOperation wanted) {
  const auto id = OperationId::trusted(random_id("op"));
  resume(id, std::move(wanted));
  operations_.at(id).is_accepted = false;
  return id;
}

void OperationStore::resume(OperationId id, NewOperation wanted) {
  by_request_[wanted.request] = id;
  operations_[id] = {.operation = {.id = id,
                                   .kind = wanted.kind,
                                   .request = std::move(wanted.request),
                                   .attachment = std::move(wanted.attachment),
                                   .traceparent = std::move(wanted.traceparent),
                                   .begun = wanted.begun},
                     .fingerprint = std::move(wanted.fingerprint),
                     .is_accepted = true};
}

void OperationStore::accept(const OperationId& id) {
  operations_.at(id).is_accepted = true;
  changed_.notify_all();
}

void OperationStore::forget(const OperationId& id) {
  by_request_.erase(operations_.at(id).operation.request);
  operations_.erase(id);
  changed_.notify_all();
}

Task<std::optional<Operation>> OperationStore::find_request(RequestId request, std::string fingerprint) {
  using Found = std::optional<Operation>;
  while (true) {
    const auto known = by_request_.find(request);
    if (known == by_request_.end()) break;
    const Entry& entry = operations_.at(known->second);
    if (entry.fingerprint != fingerprint) co_return request_reused(request, entry.operation.id);
    if (entry.is_accepted) co_return Found(entry.operation);
    const auto woken = co_await changed_.wait();
    if (!woken) co_return pass(woken);
  }
  if (!older_requests_.contains(StateDb::request_hash(request))) co_return Found();
  const auto older = co_await state_.find(request);
  if (!older) co_return pass(older);
  if (!*older) co_return Found();
  if ((*older)->fingerprint != fingerprint) co_return request_reused(request, (*older)->operation.id);
  co_return Found((*older)->operation);
}

Task<Operation> OperationStore::find(OperationId id) {
  const auto found = operations_.find(id);
  if (found != operations_.end() && found->second.is_accepted) co_return found->second.operation;
  auto older = co_await state_.find(id);
  if (!older) co_return pass(older);
  if (*older) co_return (*older)->operation;
  co_return fail(Code::kNotFound, "OPERATION_UNKNOWN", fmt::format("operation {} is not known", id));
}

std::vector<Operation> OperationStore::list_running() const {
  std::vector<Operation> found;
  for (const auto& [id, entry] : operations_) {
    if (entry.is_accepted && !entry.operation.done) found.push_back(entry.operation);
  }
  return found;
}

std::vector<Operation> OperationStore::list_finished(std::optional<std::uint64_t> before_revision,
                                                     std::size_t limit, const AttachmentId& of) const {
  std::vector<Operation> found;
  for (auto id = finished_.rbegin(); id != finished_.rend() && found.size() < limit; ++id) {
    const Operation& operation = operations_.at(*id).operation;
    if (before_revision && operation.revision >= *before_revision) continue;
    if (of.empty() || operation.attachment == of) found.push_back(operation);
  }
  return found;
}

Task<void> OperationStore::finish(OperationId id, std::optional<Error> error, AttachmentEnd left) {
  FinishedOperation finished{operations_.at(id).operation, operations_.at(id).fingerprint};
  Operation& ended = finished.operation;
  assert(!ended.done);
  ended.done = true;
  ended.error = std::move(error);
  if (const auto* saved = std::get_if<SavedAttachment>(&left)) ended.result = saved->attachment;
  ended.total =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - ended.begun);
  const auto revision = co_await state_.finish(finished, std::move(left), !has_outbox_);
  if (!revision) co_return pass(revision);
  ended.revision = *revision;
  operations_.at(id).operation = ended;
  completions_.append(std::move(ended), *revision);
  changed_.notify_all();
  remember_finished(id);
  co_return Result<void>();
}

void OperationStore::remember_finished(const OperationId& id) {
  finished_.push_back(id);
  if (finished_.size() <= kMaxFinished) return;
  const auto oldest = operations_.find(finished_.front());
  const RequestId& request = oldest->second.operation.request;
  // A request id may have moved on to a later operation.
  if (const auto of_request = by_request_.find(request);
      of_request != by_request_.end() && of_request->second == oldest->first) {
    older_requests_.insert(StateDb::request_hash(request));
    by_request_.erase(of_request);
  }
  operations_.erase(oldest);
  finished_.pop_front();
}

Task<Operation> OperationStore::wait(OperationId id) {
  while (true) {
    auto operation = co_await find(id);
    if (!operation || operation->done) co_return operation;
    const auto woken = co_await changed_.wait();
    if (!woken) co_return pass(woken);
  }
}

}  // namespace berth::agent
