#include "agent/detach_workflow.h"

#include "agent/device_steps.h"
#include "agent/random_id.h"
#include "base/log.h"

#include <array>
#include <utility>

namespace berth::agent {

struct DetachSteps {
  static constexpr std::array<Step<DetachWorkflow>, 5> kAll = {{
      {"unplug", &DetachWorkflow::unplug},      // the VM has lost it
      {"withdraw", &DetachWorkflow::withdraw},  // the tenant's rules are gone, default drop stays
      {"unbind", &DetachWorkflow::unbind},      // vfio-pci has let go
      {"reset", &DetachWorkflow::reset},        // nothing of the tenant is left, proven
      {"release", &DetachWorkflow::release},    // back in the pool, default drop last
  }};
};

DetachWorkflow::DetachWorkflow(Services& services, AttachmentId attachment)
    : services_(services), id_(std::move(attachment)) {}

DetachWorkflow::DetachWorkflow(Services& services, const SavedAttachment& halfway)
    : services_(services),
      id_(halfway.attachment.id),
      operation_(halfway.operation),
      request_(halfway.request) {
  services_.operations.resume(operation_, OperationKind::kDetach, request_, halfway.fingerprint, id_);
}

Result<Operation> DetachWorkflow::accept(RequestId request) {
  const auto known = services_.attachments.get(id_);
  if (!known) return pass(known);
  if (known->state == AttachmentState::kQuarantined) {
    return fail(Code::kFailedPrecondition, "QUARANTINED",
                fmt::format("{} is detached; its function is not clean yet", id_));
  }
  if (known->state != AttachmentState::kAttached) {
    return fail(Code::kFailedPrecondition, "ATTACHMENT_BUSY",
                fmt::format("{} is being attached or detached", id_));
  }
  attachment().state = AttachmentState::kDetaching;
  request_ = request;
  const auto now = std::chrono::steady_clock::now();
  const Operation& operation =
      services_.operations.begin(OperationKind::kDetach, std::move(request), fingerprint(id_), id_, now);
  operation_ = operation.id;
  return operation;
}

asio::awaitable<void> DetachWorkflow::run() {
  const AttachIntent intent = attachment().intent;
  auto given_back = co_await save();
  if (given_back) {
    given_back = co_await give_back(services_.operations.steps(operation_));
  } else {
    attachment().state = AttachmentState::kAttached;  // nothing has happened, and nothing is on the disk
  }
  const Attachment* left = services_.attachments.find(id_);
  const auto result = left != nullptr ? std::optional(*left) : std::nullopt;
  if (!given_back) {
    const Error why = given_back.error().in(fmt::format("detach {} from {}", intent.vm, intent.vpc));
    log_event(LogLevel::kError, "detach failed",
              {{"vm", intent.vm}, {"vpc", intent.vpc}, {"error", why.message}});
    services_.operations.finish(operation_, why, result);
    co_return;
  }
  services_.endpoints.append({EndpointEvent::Kind::kDetached, intent});
  services_.operations.finish(operation_, std::nullopt, result);
  log_event(LogLevel::kInfo, "detached", {{"vm", intent.vm}, {"vpc", intent.vpc}, {"attachment", id_}});
}

Task<void> DetachWorkflow::give_back(std::vector<StepRecord>& records) {
  const auto taken = co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, records);
  if (taken) co_return taken;
  log_event(LogLevel::kWarning, "function quarantined",
            {{"attachment", id_}, {"why", taken.error().message}});
  co_return co_await quarantine(taken.error());
}

Task<void> DetachWorkflow::try_again() {
  std::vector<StepRecord> unheard;
  const auto taken = co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, unheard);
  if (taken) co_return taken;
  attachment().fault = taken.error();
  if (!attachment().is_withdrawn) (void)co_await quarantine(taken.error());  // the steps' error says enough
  co_return taken;
}

Task<StepOutcome> DetachWorkflow::unplug() {
  const auto devices = co_await unplug_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  const auto function = co_await services_.driver.unplug(attachment().function, attachment().intent.vm);
  if (!function) co_return function;
  co_return both(*function, *devices);
}

Task<StepOutcome> DetachWorkflow::withdraw() {
  const auto closed = co_await set_gate(Gate::kClosed);
  if (closed) attachment().is_withdrawn = true;
  co_return closed;
}

Task<StepOutcome> DetachWorkflow::unbind() {
  const auto devices = co_await unbind_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  const auto function = co_await services_.driver.unbind(attachment().function);
  if (!function) co_return function;
  co_return both(*function, *devices);
}

Task<StepOutcome> DetachWorkflow::reset() {
  const auto devices = co_await reset_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  const auto function = co_await services_.driver.reset(attachment().function);
  if (!function) co_return function;
  co_return both(*function, *devices);
}

Task<StepOutcome> DetachWorkflow::release() {
  const auto opened = co_await set_gate(Gate::kNone);
  if (!opened) co_return opened;
  const auto index = attachment().function.index;
  const FreedFunction freed{.index = index, .generation = attachment().function.generation + 1};
  const auto erased = co_await services_.state.erase(id_, freed);
  if (!erased) co_return pass(erased);
  if (attachment().state == AttachmentState::kQuarantined) {
    services_.functions.lift_quarantine(index);
  } else {
    services_.functions.release(index);
  }
  services_.attachments.erase(id_);
  co_return done();
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
    services_.functions.quarantine(attachment().function.index);
  }
  const auto withdrawn = co_await withdraw();
  (void)co_await save();  // else a restart takes the steps again and comes here again
  if (!withdrawn) co_return pass(withdrawn);
  co_return Result<void>();
}

// Of an attachment that this workflow did not begin to detach, the operation does not matter any more.
Task<void> DetachWorkflow::save() {
  const auto operation = operation_.empty() ? OperationId::trusted(random_id("op")) : operation_;
  const auto request = request_.empty() ? attachment().intent.request : request_;
  const SavedAttachment now{attachment(), operation, request, fingerprint(id_)};
  co_return co_await services_.state.save(now);
}

asio::awaitable<void> lift_quarantines(Services& services, std::chrono::milliseconds interval) {
  while (co_await sleep_for(interval)) {
    for (const Attachment& attachment : services.attachments.list()) {
      if (attachment.state != AttachmentState::kQuarantined) continue;
      DetachWorkflow again(services, attachment.id);
      if (co_await again.try_again()) {
        log_event(LogLevel::kInfo, "quarantine lifted",
                  {{"attachment", attachment.id}, {"vf", attachment.function.index}});
      }
    }
  }
}

}  // namespace berth::agent
