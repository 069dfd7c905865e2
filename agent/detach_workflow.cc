#include "agent/detach_workflow.h"

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

Result<Operation> DetachWorkflow::accept(RequestId request) {
  const auto known = services_.attachments.get(id_);
  if (!known) return pass(known);
  if (known->state != AttachmentState::kAttached) {
    return fail(Code::kFailedPrecondition, "ATTACHMENT_BUSY",
                fmt::format("{} is being attached or detached", id_));
  }
  attachment().state = AttachmentState::kDetaching;
  const auto now = std::chrono::steady_clock::now();
  const Operation& operation =
      services_.operations.begin(OperationKind::kDetach, std::move(request), fingerprint(id_), id_, now);
  operation_ = operation.id;
  return operation;
}

asio::awaitable<void> DetachWorkflow::run() {
  const AttachIntent intent = attachment().intent;
  co_await give_back(services_.operations.steps(operation_));
  services_.endpoints.append({EndpointEvent::Kind::kDetached, intent});
  const Attachment* left = services_.attachments.find(id_);
  services_.operations.finish(operation_, std::nullopt,
                              left != nullptr ? std::optional(*left) : std::nullopt);
  log_event(LogLevel::kInfo, "detached", {{"vm", intent.vm}, {"vpc", intent.vpc}, {"attachment", id_}});
}

asio::awaitable<void> DetachWorkflow::give_back(std::vector<StepRecord>& records) {
  const auto taken = co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, records);
  if (!taken) {
    log_event(LogLevel::kWarning, "function quarantined",
              {{"attachment", id_}, {"why", taken.error().message}});
    quarantine();
  }
}

Task<void> DetachWorkflow::try_again() {
  std::vector<StepRecord> unheard;
  co_return co_await take_steps<DetachWorkflow>(*this, DetachSteps::kAll, unheard);
}

Task<StepOutcome> DetachWorkflow::unplug() {
  return services_.driver.unplug(attachment().function, attachment().intent.vm);
}
Task<StepOutcome> DetachWorkflow::withdraw() {
  return set_gate(Gate::kClosed);
}
Task<StepOutcome> DetachWorkflow::unbind() {
  return services_.driver.unbind(attachment().function);
}
Task<StepOutcome> DetachWorkflow::reset() {
  return services_.driver.reset(attachment().function);
}

Task<StepOutcome> DetachWorkflow::release() {
  const auto opened = co_await set_gate(Gate::kNone);
  if (!opened) co_return opened;
  const auto index = attachment().function.index;
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

// The tenant's rules may be what could not be removed: the gate says "closed" and the reconciler will
// go on trying whenever it touches the port.
void DetachWorkflow::quarantine() {
  Attachment& left = attachment();
  left.gate = Gate::kClosed;
  if (left.state == AttachmentState::kQuarantined) return;
  left.state = AttachmentState::kQuarantined;
  services_.functions.quarantine(left.function.index);
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
