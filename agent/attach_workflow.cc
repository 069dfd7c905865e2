#include "agent/attach_workflow.h"

#include "agent/admission.h"
#include "agent/allocate.h"
#include "agent/detach_workflow.h"
#include "agent/device_steps.h"
#include "agent/function_choice.h"
#include "agent/interface_steps.h"
#include "agent/known_vpcs.h"
#include "agent/prober.h"
#include "agent/random_id.h"
#include "base/log.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace berth::agent {

// The main flow. Steps up to `resolve` refuse without a trace; then the intent is on the disk, and is never
// lost. From `close` on a failure is undone by the detach workflow's steps, so that the VM ends attached or
// not attached, never between; and how it ended is on the disk before anybody hears of it.
struct AttachSteps {
  static constexpr std::array<Step<AttachWorkflow>, 2> kAccept = {{
      {"admit", &AttachWorkflow::admit},  // the intent makes sense and there is room for it
      {"resolve",
       &AttachWorkflow::resolve},  // its VPCs are known, its addresses are free, functions are leased
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

// An attach that a former process of ours has begun. How far it came nobody knows: the VM may have everything
// already. So it begins at nothing, as the undo does, and then goes the same way.
struct ResumeSteps {
  static constexpr std::array<Step<AttachWorkflow>, 11> kRun = {{
      {"allow", &AttachWorkflow::allow},    // the devices are still ones that the host gives away
      {"close", &AttachWorkflow::close},    // default drop, before the VM loses or gets anything
      {"unplug", &AttachWorkflow::unplug},  // a VM that has got it has lost it
      {"unbind", &AttachWorkflow::unbind},  // its VMM has closed it
      {"program", &AttachWorkflow::program},
      {"prepare", &AttachWorkflow::prepare},
      {"expose", &AttachWorkflow::expose},
      {"probe", &AttachWorkflow::probe},
      {"bind", &AttachWorkflow::bind},
      {"plug", &AttachWorkflow::plug},
      {"verify", &AttachWorkflow::verify},
  }};
};

AttachWorkflow::AttachWorkflow(Services& services, AttachIntent intent)
    : services_(services),
      intent_(std::move(intent)),
      name_(fmt::format("attach {} to {}", intent_.vm, vpcs_of(intent_.interfaces))),
      fingerprint_(fingerprint(intent_)),
      id_(AttachmentId::trusted(random_id("att"))) {}

AttachWorkflow::AttachWorkflow(Services& services, const SavedAttachment& halfway)
    : services_(services),
      intent_{.request = halfway.request, .vm = halfway.attachment.vm, .traceparent = halfway.traceparent},
      name_(fmt::format("attach {} to {}", intent_.vm, vpcs_of(halfway.attachment))),
      fingerprint_(halfway.fingerprint),
      id_(halfway.attachment.id),
      operation_(halfway.operation),
      is_resumed_(true) {
  for (const Interface& one : halfway.attachment.interfaces) intent_.interfaces.push_back(one.intent);
  if (halfway.attachment.state == AttachmentState::kRestoring) return;
  place_.emplace(services_.turns.queue_up_again(tenant(), intent_.vm));
  services_.operations.resume(operation_, begun());
  attachment().has_operation = true;
}

Task<Operation> AttachWorkflow::accept() {
  const auto taken = co_await take_steps<AttachWorkflow>(*this, AttachSteps::kAccept, records_);
  if (!taken) co_return pass(taken, name_);
  // A copy of this request that comes while the disk is written to waits for the outcome.
  operation_ = services_.operations.begin(begun());
  services_.operations.steps(operation_) = records_;
  const auto saved = co_await services_.state.save(row());
  if (!saved) {
    services_.operations.forget(operation_);
    for (const Interface& one : attachment().interfaces) services_.functions.release(one.function.index);
    services_.attachments.erase(id_);
    co_return pass(saved, name_);
  }
  services_.operations.accept(operation_);
  // Nothing is waited for from here on: a caller who has hung up could not be kept from going.
  co_return services_.operations.running(operation_);
}

asio::awaitable<void> AttachWorkflow::run() {
  if (!co_await place_->wait_for_turn()) co_return;  // the next process of ours takes it up
  auto& records = services_.operations.steps(operation_);
  std::span<const Step<AttachWorkflow>> steps = AttachSteps::kRun;
  if (is_resumed_) steps = ResumeSteps::kRun;
  auto ended = co_await take_steps<AttachWorkflow>(
      *this, steps, records,
      {.may_go_on = [this] { return check_wanted(); }, .patience = services_.patience});
  if (ended) ended = check_wanted();
  if (ended) {
    attachment().state = AttachmentState::kAttached;
    ended = co_await services_.operations.finish(operation_, std::nullopt, row());
  }
  if (ended) {
    attachment().has_operation = false;
    tell_attached("attached");
    co_return;
  }
  const Error why = ended.error().in(name_);
  log_event(LogLevel::kError, "attach failed",
            {{"vm", intent_.vm}, {"vpc", vpcs_of(attachment())}, {"error", why.message}});
  attachment().state = AttachmentState::kDetaching;
  DetachWorkflow undo(services_, id_, operation_);
  (void)co_await undo.give_back(services_.operations.steps(operation_));  // what is left is in quarantine
  co_await undo.conclude(why);
}

void AttachWorkflow::tell_attached(std::string_view how) {
  for (const Interface& one : attachment().interfaces)
    services_.endpoints.append({EndpointEvent::Kind::kAttached, intent_.vm, one.intent});
  log_event(LogLevel::kInfo, how, {{"vm", intent_.vm}, {"vpc", vpcs_of(attachment())}, {"attachment", id_}});
}

Task<StepOutcome> AttachWorkflow::admit() {
  if (services_.outbox != nullptr && services_.outbox->is_full()) {
    co_return fail(Code::kResourceExhausted, "OUTBOX_FULL",
                   fmt::format("the VMaaS has not taken {} completions", services_.outbox->untold()));
  }
  auto fitted = check_intent(intent_, {.family = services_.reconciler.underlay().vtep.family(),
                                       .mtu_bytes = services_.underlay_mtu_bytes});
  if (!fitted) co_return pass(fitted);
  intent_ = *std::move(fitted);
  std::vector<std::uint32_t> mtus;
  for (const InterfaceIntent& one : intent_.interfaces) mtus.push_back(one.mtu_bytes);
  co_return done(fmt::format("mtu {}", fmt::join(mtus, " ")));
}

Task<StepOutcome> AttachWorkflow::resolve() {
  const auto known =
      co_await wait_until_known(services_.vpcs, intent_.interfaces, begun_ + services_.vpc_wait);
  if (!known) co_return pass(known);
  // No await from here on: what is checked is still true when it is reserved.
  if (services_.operations.is_known(intent_.request))
    co_return fail(Code::kAborted, "", "a retry of the same request was faster");
  const auto allocated = allocate();
  if (!allocated) co_return pass(allocated);
  const auto fits = check_fit();
  if (!fits) co_return pass(fits);
  auto room = reserve_rules();
  if (!room) co_return pass(room);
  auto place = services_.turns.queue_up(tenant(), intent_.vm);
  if (!place) co_return pass(place);
  room_.emplace(*std::move(room));
  place_.emplace(*std::move(place));
  std::vector<std::string> details;
  std::vector<Interface> interfaces = lease_functions(details);
  services_.attachments.insert({.id = id_,
                                .vm = intent_.vm,
                                .interfaces = std::move(interfaces),
                                .devices = intent_.devices,
                                .has_operation = true});
  co_return done(fmt::format("{}", fmt::join(details, "; ")));
}

Task<Attachment> AttachWorkflow::check() {
  const auto admitted = co_await admit();
  if (!admitted) co_return pass(admitted, name_);
  const auto known =
      co_await wait_until_known(services_.vpcs, intent_.interfaces, begun_ + services_.vpc_wait);
  if (!known) co_return pass(known, name_);
  const auto allocated = allocate();
  if (!allocated) co_return pass(allocated, name_);
  const auto fits = check_fit();
  if (!fits) co_return pass(fits, name_);
  const auto room = reserve_rules();
  if (!room) co_return pass(room, name_);
  const auto place = services_.turns.queue_up(tenant(), intent_.vm);
  if (!place) co_return pass(place, name_);
  Attachment would_be{.vm = intent_.vm, .devices = intent_.devices};
  for (const InterfaceIntent& one : intent_.interfaces) would_be.interfaces.push_back({.intent = one});
  co_return would_be;
}

// They are the attachment's when it is in the tables, and nobody's before that.
Result<void> AttachWorkflow::allocate() {
  auto with_addresses =
      allocate_addresses(intent_, services_.vpcs, services_.attachments, services_.addresses);
  if (!with_addresses) return pass(with_addresses);
  intent_ = *std::move(with_addresses);
  return {};
}

// The VPCs are known.
Result<void> AttachWorkflow::check_fit() const {
  for (std::size_t i = 0; i < intent_.interfaces.size(); ++i) {
    const InterfaceIntent& wanted = intent_.interfaces[i];
    const auto fits = check_against_vpc(
        {.vm = intent_.vm, .interface = wanted, .number = i}, *services_.vpcs.find(wanted.vpc),
        services_.attachments.rivals_of(intent_.vm, wanted), services_.vpcs.mappings_of(wanted.vpc),
        services_.reconciler.underlay().vtep);
    if (!fits) return fits;
  }
  if (!intent_.devices.empty()) {
    const auto devices_fit = check_devices(intent_, services_.attachments.list(), services_.devices);
    if (!devices_fit) return devices_fit;
  }
  const auto near_fits = check_near(intent_, services_.devices);
  if (!near_fits) return near_fits;
  return services_.functions.check_free(intent_.interfaces.size());
}

Result<EswitchBudget::Reservation> AttachWorkflow::reserve_rules() {
  TableUse needed;
  for (const InterfaceIntent& one : intent_.interfaces) needed += services_.reconciler.use_of(one);
  return services_.eswitch_budget.reserve(needed, services_.reconciler.held_use());
}

// There are enough: check_fit().
std::vector<Interface> AttachWorkflow::lease_functions(std::vector<std::string>& details) {
  std::vector<Interface> interfaces;
  for (const InterfaceIntent& wanted : intent_.interfaces) {
    auto leased = lease_nearest(services_.functions, services_.devices, wanted_near(intent_, wanted)).value();
    leased.function.mac = wanted.mac;
    interfaces.push_back({.intent = wanted, .function = std::move(leased.function)});
    details.push_back(std::move(leased.detail));
  }
  return interfaces;
}

Result<void> AttachWorkflow::check_wanted() {
  if (!attachment().is_unwanted) return {};
  return fail(Code::kCancelled, "WITHDRAWN", "the VMaaS has withdrawn it");
}

Task<StepOutcome> AttachWorkflow::close() {
  return set_gate(Gate::kClosed, "default drop");
}
Task<StepOutcome> AttachWorkflow::program() {
  auto programmed = co_await set_gate(Gate::kOpen, "");
  if (programmed) room_.reset();
  co_return programmed;
}

Task<StepOutcome> AttachWorkflow::prepare() {
  return for_each_interface(attachment().interfaces, [this](const Interface& one) {
    return services_.driver.prepare(prepare_args(one));
  });
}

Task<StepOutcome> AttachWorkflow::expose() {
  return for_each_interface(attachment().interfaces, [this](Interface one) -> Task<StepOutcome> {
    const auto exposed = co_await services_.driver.expose(prepare_args(one));
    if (!exposed) co_return exposed;
    for (Interface& held : attachment().interfaces) {
      if (port_of(held) == port_of(one)) held.function.address = exposed->address;
    }
    co_return exposed;
  });
}

Task<StepOutcome> AttachWorkflow::probe() {
  return for_each_interface(attachment().interfaces, [this](Interface one) -> Task<StepOutcome> {
    Prober prober(services_.eswitch, services_.reconciler, services_.vpcs, std::move(one), services_.probe);
    co_return co_await prober.run();
  });
}

Task<StepOutcome> AttachWorkflow::bind() {
  const auto functions = co_await for_each_interface(
      attachment().interfaces, [this](const Interface& one) { return services_.driver.bind(one.function); });
  if (!functions) co_return functions;
  const auto devices = co_await bind_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  co_return both(*functions, *devices);
}

Task<StepOutcome> AttachWorkflow::plug() {
  const auto functions = co_await for_each_interface(attachment().interfaces, [this](const Interface& one) {
    return services_.driver.plug(one.function, intent_.vm);
  });
  if (!functions) co_return functions;
  const auto devices = co_await plug_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  co_return both(*functions, *devices);
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

Task<StepOutcome> AttachWorkflow::set_gate(Gate gate, std::string detail) {
  attachment().gate = gate;
  const auto scopes = services_.reconciler.scopes_of(attachment());
  const auto ensured = co_await services_.reconciler.ensure(scopes);
  if (!ensured) co_return pass(ensured);
  co_return done(std::move(detail));
}

Task<void> withdraw_attach(Services& services, OperationId operation) {
  const Operation& running = services.operations.running(operation);
  const Attachment* attachment = services.attachments.find(running.attachment);
  if (attachment == nullptr || attachment->state != AttachmentState::kAttaching) co_return Result<void>();
  SavedAttachment row{*attachment, operation, running.request, services.operations.fingerprint_of(operation),
                      running.traceparent};
  row.attachment.is_unwanted = true;
  const AttachmentId id = attachment->id;
  // Writes are made in the order in which they are asked for: the attach's own next one comes after this.
  const auto saved = co_await services.state.save(std::move(row));
  if (!saved) co_return saved;
  Attachment* still = services.attachments.find(id);
  if (still != nullptr && still->state == AttachmentState::kAttaching) still->is_unwanted = true;
  co_return Result<void>();
}

}  // namespace berth::agent
