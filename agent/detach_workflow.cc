#include "agent/detach_workflow.h"

#include "agent/allocate.h"
#include "agent/way_out.h"
#include "base/log.h"

#include <array>
#include <utility>

namespace berth::agent {
namespace {

// How long a full disk is given before it is tried again.
constexpr std::chrono::milliseconds kDiskRetry{1000};

}  // namespace

struct DetachSteps {
  static constexpr std::array<Step<DetachWorkflow>, 5> kAll = {{
      {"unplug", &DetachWorkflow::unplug},      // the VM has lost it
      {"withdraw", &DetachWorkflow::withdraw},  // the tenant's rules are gone, default drop stays
      {"unbind", &DetachWorkflow::unbind},      // vfio-pci has let go
      {"reset", &DetachWorkflow::reset},        // nothing of the tenant is left, proven
      {"release", &DetachWorkflow::release},    // no rule names it any more, default drop goes last
  }};
};

DetachWorkflow::DetachWorkflow(Services& services, AttachmentId attachment, OperationId operation)
    : services_(services), id_(std::move(attachment)), operation_(std::move(operation)) {}

DetachWorkflow::DetachWorkflow(Services& services, const SavedAttachment& halfway)
    : services_(services), id_(halfway.attachment.id), operation_(halfway.operation) {
  services_.operations.resume(
      operation_, {OperationKind::kDetach, halfway.request, halfway.fingerprint, id_, halfway.traceparent});
  attachment().has_operation = true;
  place_.emplace(services_.turns.queue_up_again(tenant(), attachment().vm));
}

Task<Operation> DetachWorkflow::accept(DetachIntent intent) {
  const auto known = services_.attachments.get(id_);
  if (!known) co_return pass(known);
  if (known->state == AttachmentState::kQuarantined) {
    co_return fail(Code::kFailedPrecondition, "QUARANTINED",
                   fmt::format("{} is detached; its function is not clean yet", id_));
  }
  const AttachmentState before = known->state;
  const bool is_settled = before == AttachmentState::kAttached || before == AttachmentState::kRestoring;
  if (!is_settled || known->has_operation) {  // an attach that is done has ended when the disk knows
    co_return fail(Code::kFailedPrecondition, "ATTACHMENT_BUSY",
                   fmt::format("{} is being attached, updated or detached", id_));
  }
  if (const std::string etag = etag_of(*known); !intent.etag.empty() && intent.etag != etag)
    co_return fail(Code::kAborted, "ETAG_MISMATCH", fmt::format("{} is at {} now", id_, etag));
  auto place = services_.turns.queue_up(tenant(), known->vm);
  if (!place) co_return pass(place, fmt::format("detach {}", id_));
  place_.emplace(*std::move(place));
  attachment().state = AttachmentState::kDetaching;
  attachment().has_operation = true;
  const std::string asked = fingerprint(id_);
  operation_ =
      services_.operations.begin({OperationKind::kDetach, intent.request, asked, id_, intent.traceparent});
  const auto saved =
      co_await services_.state.save({attachment(), operation_, intent.request, asked, intent.traceparent});
  if (!saved) {
    services_.operations.forget(operation_);
    attachment().state = before;
    attachment().has_operation = false;
    place_.reset();
    co_return pass(saved, fmt::format("detach {}", id_));
  }
  services_.operations.accept(operation_);
  // Nothing is waited for from here on: a caller who has hung up could not be kept from going.
  co_return services_.operations.running(operation_);
}

asio::awaitable<void> DetachWorkflow::run() {
  if (!co_await place_->wait_for_turn()) co_return;  // the next process of ours takes it up
  const auto given_back = co_await give_back(services_.operations.steps(operation_));
  std::optional<Error> why;
  if (!given_back) {
    const std::string vpcs = vpcs_of(attachment());
    why = given_back.error().in(fmt::format("detach {} from {}", attachment().vm, vpcs));
    log_event(LogLevel::kError, "detach failed",
              {{"vm", attachment().vm}, {"vpc", vpcs}, {"error", why->message}});
  }
  co_await conclude(why);
}

asio::awaitable<void> DetachWorkflow::conclude(std::optional<Error> why) {
  const Attachment ended = attachment();
  const bool is_detach = why == std::nullopt;
  for (bool is_told = false;; is_told = true) {
    const auto finished = co_await services_.operations.finish(operation_, why, left());
    if (finished) break;
    if (!is_told) {
      log_event(LogLevel::kError, "an operation cannot end",
                {{"operation", operation_}, {"error", finished.error().message}});
    }
    // Cancelled: the next process of ours finds it half-way, and takes it to its end.
    if (!co_await sleep_for(kDiskRetry)) co_return;
  }
  attachment().has_operation = false;
  settle();
  if (!is_detach) co_return;
  for (const Interface& one : ended.interfaces)
    services_.endpoints.append({EndpointEvent::Kind::kDetached, ended.vm, one.intent});
  log_event(LogLevel::kInfo, "detached", {{"vm", ended.vm}, {"vpc", vpcs_of(ended)}, {"attachment", id_}});
}

Task<void> DetachWorkflow::give_back(std::vector<StepRecord>& records) {
  const auto taken = co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, records,
                                                         {.patience = services_.patience});
  if (taken) co_return taken;
  log_event(LogLevel::kWarning, "functions quarantined",
            {{"attachment", id_}, {"why", taken.error().message}});
  co_return co_await quarantine(taken.error());
}

Task<void> DetachWorkflow::try_again() {
  std::vector<StepRecord> unheard;
  const auto taken = co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, unheard);
  if (!taken) {
    attachment().fault = taken.error();
    if (!attachment().is_withdrawn) (void)co_await quarantine(taken.error());  // the steps' error says enough
    co_return taken;
  }
  const auto erased = co_await services_.state.erase(id_, freed());
  if (!erased) co_return erased;
  settle();
  co_return Result<void>();
}

Task<StepOutcome> DetachWorkflow::unplug() {
  return unplug_all(services_, attachment());
}

Task<StepOutcome> DetachWorkflow::withdraw() {
  const auto closed = co_await set_gate(Gate::kClosed);
  if (closed) attachment().is_withdrawn = true;
  co_return closed;
}

Task<StepOutcome> DetachWorkflow::unbind() {
  return unbind_all(services_, attachment());
}

Task<StepOutcome> DetachWorkflow::reset() {
  return reset_all(services_, attachment());
}

Task<StepOutcome> DetachWorkflow::release() {
  return set_gate(Gate::kNone);
}

Task<StepOutcome> DetachWorkflow::set_gate(Gate gate) {
  attachment().gate = gate;
  const auto scopes = services_.reconciler.scopes_of(attachment());
  const auto ensured = co_await services_.reconciler.ensure(scopes);
  if (!ensured) co_return pass(ensured);
  co_return done();
}

// Whatever step failed, the tenant's rules go and default drop stays.
Task<void> DetachWorkflow::quarantine(Error why) {
  attachment().fault = std::move(why);
  if (attachment().state != AttachmentState::kQuarantined) {
    attachment().state = AttachmentState::kQuarantined;
    for (const Interface& one : attachment().interfaces) services_.functions.quarantine(one.function.index);
  }
  const auto withdrawn = co_await withdraw();
  if (!withdrawn) co_return pass(withdrawn);
  co_return Result<void>();
}

Freed DetachWorkflow::freed() {
  Freed freed{.functions = {}, .addresses = addresses_to_free(attachment(), services_.vpcs)};
  for (const Interface& one : attachment().interfaces)
    freed.functions.push_back({.index = one.function.index, .generation = one.function.generation + 1});
  return freed;
}

AttachmentEnd DetachWorkflow::left() {
  if (attachment().gate == Gate::kNone) return freed();
  const Operation& operation = services_.operations.running(operation_);
  return SavedAttachment{attachment(), operation_, operation.request, fingerprint(id_)};
}

void DetachWorkflow::settle() {
  if (attachment().gate != Gate::kNone) return;
  const bool was_quarantined = attachment().state == AttachmentState::kQuarantined;
  for (const Interface& one : attachment().interfaces) {
    if (was_quarantined) {
      services_.functions.lift_quarantine(one.function.index);
    } else {
      services_.functions.release(one.function.index);
    }
  }
  for (const FreedAddress& one : addresses_to_free(attachment(), services_.vpcs))
    services_.addresses.note_freed(one);
  services_.attachments.erase(id_);
}

asio::awaitable<void> lift_quarantines(Services& services, std::chrono::milliseconds interval) {
  const auto is_left = [](const Attachment& one) {
    return one.state == AttachmentState::kQuarantined && !one.has_operation;
  };
  while (co_await sleep_for(interval)) {
    const auto& all = services.attachments;
    for (const Attachment& attachment : all.list_after(AttachmentId(), all.size(), is_left)) {
      DetachWorkflow again(services, attachment.id, OperationId());
      if (co_await again.try_again()) {
        log_event(LogLevel::kInfo, "quarantine lifted",
                  {{"attachment", attachment.id}, {"vm", attachment.vm}});
      }
    }
  }
}

}  // namespace berth::agent
