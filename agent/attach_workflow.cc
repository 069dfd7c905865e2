#include "agent/attach_workflow.h"

#include "agent/admission.h"
#include "agent/detach_workflow.h"
#include "agent/device_steps.h"
#include "agent/random_id.h"
#include "base/log.h"

#include <array>
#include <utility>

namespace berth::agent {

// The main flow. Steps up to `resolve` refuse without a trace; then the intent is on the disk, and is never
// lost. From `close` on a failure is undone by the detach workflow's steps, so that the VM ends attached or
// not attached, never between; and how it ended is on the disk before anybody hears of it.
struct AttachSteps {
  static constexpr std::array<Step<AttachWorkflow>, 2> kAccept = {{
      {"admit", &AttachWorkflow::admit},  // the intent makes sense and there is room for it
      {"resolve",
       &AttachWorkflow::resolve},  // its VPC is known, its addresses are free, a function is leased
  }};
  static constexpr std::array<Step<AttachWorkflow>, 8> kRun = {{
      {"close", &AttachWorkflow::close},      // default drop is in the eSwitch before the function can send
      {"program", &AttachWorkflow::program},  // anti-spoof, policy, mappings, tunnel termination
      {"prepare", &AttachWorkflow::prepare},  // admin MAC, rate
      {"expose", &AttachWorkflow::expose},    // PCIe hotplug: the function appears on the host
      {"probe", &AttachWorkflow::probe},      // frames of its own have crossed the rules; nobody has it yet
      {"bind", &AttachWorkflow::bind},        // vfio-pci owns it, and the devices that go along
      {"plug", &AttachWorkflow::plug},        // the VM has them
      {"verify", &AttachWorkflow::verify},    // the eSwitch, read back, holds what was meant
  }};
};

AttachWorkflow::AttachWorkflow(Services& services, AttachIntent intent)
    : services_(services),
      intent_(std::move(intent)),
      fingerprint_(fingerprint(intent_)),
      id_(AttachmentId::trusted(random_id("att"))) {}

AttachWorkflow::AttachWorkflow(Services& services, const SavedAttachment& halfway)
    : services_(services),
      intent_(halfway.attachment.intent),
      fingerprint_(halfway.fingerprint),
      id_(halfway.attachment.id),
      operation_(halfway.operation) {
  services_.operations.resume(operation_, begun());
  attachment().has_operation = true;
}

Task<Operation> AttachWorkflow::accept() {
  const auto taken = co_await take_steps<AttachWorkflow>(*this, AttachSteps::kAccept, records_);
  if (!taken)
    co_return std::unexpected(taken.error().in(fmt::format("attach {} to {}", intent_.vm, intent_.vpc)));
  // A copy of this request that comes while the disk is written to waits for the outcome.
  operation_ = services_.operations.begin(begun());
  services_.operations.steps(operation_) = records_;
  const auto saved = co_await services_.state.save(row());
  if (!saved) {
    services_.operations.forget(operation_);
    services_.functions.release(attachment().function.index);
    services_.attachments.erase(id_);
    co_return pass(saved, fmt::format("attach {} to {}", intent_.vm, intent_.vpc));
  }
  services_.operations.accept(operation_);
  // Nothing is waited for from here on: a caller who has hung up could not be kept from going.
  co_return services_.operations.running(operation_);
}

asio::awaitable<void> AttachWorkflow::run() {
  auto& records = services_.operations.steps(operation_);
  auto ended = co_await take_steps<AttachWorkflow>(*this, AttachSteps::kRun, records);
  if (ended) {
    attachment().state = AttachmentState::kAttached;
    ended = co_await services_.operations.finish(operation_, std::nullopt, row());
  }
  if (ended) {
    attachment().has_operation = false;
    services_.endpoints.append({EndpointEvent::Kind::kAttached, intent_});
    log_event(LogLevel::kInfo, "attached", {{"vm", intent_.vm}, {"vpc", intent_.vpc}, {"attachment", id_}});
    co_return;
  }
  const Error why = ended.error().in(fmt::format("attach {} to {}", intent_.vm, intent_.vpc));
  log_event(LogLevel::kError, "attach failed",
            {{"vm", intent_.vm}, {"vpc", intent_.vpc}, {"error", why.message}});
  attachment().state = AttachmentState::kDetaching;
  DetachWorkflow undo(services_, id_, operation_);
  (void)co_await undo.give_back(services_.operations.steps(operation_));  // what is left is in quarantine
  co_await undo.conclude(why);
}

Task<StepOutcome> AttachWorkflow::admit() {
  if (services_.outbox != nullptr && services_.outbox->is_full()) {
    co_return fail(Code::kResourceExhausted, "OUTBOX_FULL",
                   fmt::format("the VMaaS has not taken {} completions", services_.outbox->untold()));
  }
  const auto mtu = check_intent(intent_, {.family = services_.reconciler.underlay().vtep.family(),
                                          .mtu_bytes = services_.underlay_mtu_bytes});
  if (!mtu) co_return pass(mtu);
  intent_.mtu_bytes = *mtu;
  co_return done(fmt::format("mtu {}", *mtu));
}

Task<StepOutcome> AttachWorkflow::resolve() {
  const auto give_up = begun_ + services_.vpc_wait;
  while (services_.vpcs.find(intent_.vpc) == nullptr) {
    const auto left = give_up - std::chrono::steady_clock::now();
    const auto woken = co_await with_deadline(left, services_.vpcs.changed().wait());
    if (woken || services_.vpcs.find(intent_.vpc) != nullptr) continue;
    if (woken.error().code != Code::kDeadlineExceeded) co_return pass(woken);
    if (services_.vpcs.is_synced()) {
      co_return fail(Code::kNotFound, "VPC_UNKNOWN",
                     fmt::format("VPC {} is not known on this host", intent_.vpc));
    }
    co_return fail(Code::kUnavailable, "VPCS_NOT_SYNCED", "no controller has told this host its VPCs yet");
  }
  // No await from here on: what is checked is still true when it is reserved.
  if (services_.operations.is_known(intent_.request))
    co_return fail(Code::kAborted, "", "a retry of the same request was faster");
  const auto rivals = services_.attachments.rivals_of(intent_);
  const auto fits =
      check_against_vpc(intent_, *services_.vpcs.find(intent_.vpc), rivals,
                        services_.vpcs.mappings_of(intent_.vpc), services_.reconciler.underlay().vtep);
  if (!fits) co_return pass(fits);
  const auto devices_fit = intent_.devices.empty()
                               ? Result<void>()  // and nobody has to be looked at
                               : check_devices(intent_, services_.attachments.list(), services_.devices);
  if (!devices_fit) co_return pass(devices_fit);
  auto function = services_.functions.lease();
  if (!function) co_return pass(function);
  function->mac = intent_.mac;
  const std::string name = fmt::format("vf{}", function->index);
  services_.attachments.insert(
      {.id = id_, .intent = intent_, .has_operation = true, .function = *std::move(function)});
  co_return done(name);
}

Task<StepOutcome> AttachWorkflow::close() {
  return set_gate(Gate::kClosed, "default drop");
}
Task<StepOutcome> AttachWorkflow::program() {
  return set_gate(Gate::kOpen, "");
}

Task<StepOutcome> AttachWorkflow::prepare() {
  return services_.driver.prepare(wanted_interface());
}

Task<StepOutcome> AttachWorkflow::expose() {
  const auto exposed = co_await services_.driver.expose(wanted_interface());
  if (exposed) attachment().function.address = exposed->address;
  co_return exposed;
}

Task<StepOutcome> AttachWorkflow::probe() {
  Prober prober(services_.eswitch, services_.reconciler, services_.vpcs, attachment(), services_.probe);
  co_return co_await prober.run();
}

Task<StepOutcome> AttachWorkflow::bind() {
  const auto function = co_await services_.driver.bind(attachment().function);
  if (!function) co_return function;
  const auto devices = co_await bind_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  co_return both(*function, *devices);
}

Task<StepOutcome> AttachWorkflow::plug() {
  const auto function = co_await services_.driver.plug(attachment().function, intent_.vm);
  if (!function) co_return function;
  const auto devices = co_await plug_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  co_return both(*function, *devices);
}

Task<StepOutcome> AttachWorkflow::verify() {
  const auto count = co_await services_.reconciler.verify(attachment());
  if (!count) co_return pass(count);
  co_return done(fmt::format("{} rules read back", *count));
}

NewOperation AttachWorkflow::begun() const {
  return {OperationKind::kAttach, intent_.request, fingerprint_, id_, intent_.traceparent, begun_};
}

SavedAttachment AttachWorkflow::row() {
  return {attachment(), operation_, intent_.request, fingerprint_, intent_.traceparent};
}

host::PrepareArgs AttachWorkflow::wanted_interface() {
  return {.function = attachment().function,
          .mtu_bytes = intent_.mtu_bytes,
          .max_rate_from_vm = intent_.rates.from_vm};
}

Task<StepOutcome> AttachWorkflow::set_gate(Gate gate, std::string detail) {
  attachment().gate = gate;
  const auto scopes = services_.reconciler.scopes_of(attachment());
  const auto ensured = co_await services_.reconciler.ensure(scopes);
  if (!ensured) co_return pass(ensured);
  co_return done(std::move(detail));
}

}  // namespace berth::agent
