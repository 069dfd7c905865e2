#include "agent/update_workflow.h"

#include "agent/admission.h"
#include "agent/interface_steps.h"
#include "agent/known_vpcs.h"
#include "base/log.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace berth::agent {
namespace {

// How long a full disk, or an eSwitch that refuses what it has held before, is given before it is tried
// again.
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1000};

}  // namespace

// Make before break. A packet is judged, at each end, by the old values or by the new ones as a whole:
// `stage` puts the rules of the new policy sets beside those of the old ones, where no packet comes yet;
// `move` replaces the rules that lead packets there, and those with the meters, one by one and without a gap;
// the old sets' rules go when nothing can lead back to them any more. A rule that the eSwitch refuses is so
// met either before a packet sees the new values, or while both are there as a whole.
struct UpdateSteps {
  static constexpr std::array<Step<UpdateWorkflow>, 2> kAccept = {{
      {"admit", &UpdateWorkflow::admit},      // it is attached, and the intent makes sense
      {"resolve", &UpdateWorkflow::resolve},  // its policy groups are known, and there is room
  }};
  static constexpr std::array<Step<UpdateWorkflow>, 5> kForward = {{
      {"stage", &UpdateWorkflow::stage},        // policy sets beside the old ones
      {"move", &UpdateWorkflow::move},          // packets go by the new values
      {"prepare", &UpdateWorkflow::set_rates},  // the VF's rate
      {"verify", &UpdateWorkflow::verify},      // the eSwitch, read back, holds what was meant
      {"keep", &UpdateWorkflow::keep},          // on the disk: there is no way back
  }};
  static constexpr std::array<Step<UpdateWorkflow>, 1> kEnd = {{
      {"retire", &UpdateWorkflow::retire},  // rules that only the old values needed are gone
  }};
  static constexpr std::array<Step<UpdateWorkflow>, 1> kRatesBack = {{
      {"prepare back", &UpdateWorkflow::set_rates_back},
  }};
  static constexpr std::array<Step<UpdateWorkflow>, 2> kBack = {{
      {"move back", &UpdateWorkflow::move_back},  // packets go by the old values
      {"unstage", &UpdateWorkflow::unstage},      // rules that only the new values needed are gone
  }};
};

UpdateWorkflow::UpdateWorkflow(Services& services, UpdateIntent intent)
    : services_(services),
      intent_(std::move(intent)),
      name_(fmt::format("update {}", intent_.attachment)),
      fingerprint_(fingerprint(intent_)) {}

UpdateWorkflow::UpdateWorkflow(Services& services, const SavedAttachment& halfway)
    : services_(services),
      intent_{.request = halfway.request,
              .attachment = halfway.attachment.id,
              .traceparent = halfway.traceparent},
      name_(fmt::format("update {}", intent_.attachment)),
      fingerprint_(halfway.fingerprint),
      operation_(halfway.operation) {
  services_.operations.resume(operation_, {OperationKind::kUpdate, intent_.request, fingerprint_,
                                           intent_.attachment, intent_.traceparent});
  services_.attachments.join_other_sets(intent_.attachment);
  attachment().has_operation = true;
  place_.emplace(services_.turns.queue_up_again(tenant(), attachment().vm));
}

Task<Operation> UpdateWorkflow::accept() {
  const auto taken = co_await take_steps<UpdateWorkflow>(*this, UpdateSteps::kAccept, records_);
  if (!taken) co_return pass(taken, name_);
  // No await since it was found to fit. A copy of this request that comes while the disk is written to waits
  // for the outcome.
  for (std::size_t i = 0; i < planned_.size(); ++i) attachment().interfaces[i].other = planned_[i];
  services_.attachments.join_other_sets(intent_.attachment);
  attachment().update.emplace();
  attachment().has_operation = true;
  operation_ = services_.operations.begin({OperationKind::kUpdate, intent_.request, fingerprint_,
                                           intent_.attachment, intent_.traceparent, begun_});
  services_.operations.steps(operation_) = records_;
  const auto saved = co_await services_.state.save(row());
  if (!saved) {
    services_.operations.forget(operation_);
    services_.attachments.end_update(intent_.attachment);
    attachment().has_operation = false;
    place_.reset();
    co_return pass(saved, name_);
  }
  services_.operations.accept(operation_);
  // Nothing is waited for from here on: a caller who has hung up could not be kept from going.
  co_return services_.operations.running(operation_);
}

Task<Attachment> UpdateWorkflow::check() {
  const auto taken = co_await take_steps<UpdateWorkflow>(*this, UpdateSteps::kAccept, records_);
  if (!taken) co_return pass(taken, name_);
  Attachment would_be = attachment();
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    if (planned_[i]) would_be.interfaces[i].intent = with_values(would_be.interfaces[i].intent, *planned_[i]);
  }
  co_return would_be;
}

asio::awaitable<void> UpdateWorkflow::run() {
  if (!co_await place_->wait_for_turn()) co_return;  // the next process of ours takes it up
  auto& records = services_.operations.steps(operation_);
  std::optional<Error> why;
  if (!is_kept()) {
    const auto kept = co_await take_steps<UpdateWorkflow>(
        *this, UpdateSteps::kForward, records,
        {.may_go_on = [this] { return check_wanted(); }, .patience = services_.patience});
    if (!kept) why = kept.error().in(name_);
  }
  if (why) {
    log_event(LogLevel::kError, "update failed",
              {{"vm", attachment().vm}, {"attachment", intent_.attachment}, {"error", why->message}});
    attachment().update->may_be_withdrawn = false;
    // Should a PF not take it back, the audit of the host sees to it.
    (void)co_await take_steps<UpdateWorkflow>(*this, UpdateSteps::kRatesBack, records,
                                              {.patience = services_.patience});
    if (!co_await insist(UpdateSteps::kBack)) co_return;
  } else if (!co_await insist(UpdateSteps::kEnd)) {
    co_return;
  }
  co_await conclude(std::move(why));
}

Task<void> UpdateWorkflow::insist(std::span<const Step<UpdateWorkflow>> steps) {
  auto pause = kFirstPause;
  for (bool is_told = false;; is_told = true) {
    std::vector<StepRecord> records;
    const auto taken = co_await take_steps<UpdateWorkflow>(*this, steps, records);
    if (taken) {
      auto& all = services_.operations.steps(operation_);
      all.insert(all.end(), records.begin(), records.end());
      co_return taken;
    }
    if (!is_told) {
      log_event(LogLevel::kError, "an update cannot end",
                {{"attachment", intent_.attachment}, {"error", taken.error().message}});
    }
    // Cancelled: the next process of ours finds it half-way, and takes it to its end.
    const auto slept = co_await sleep_for(pause);
    if (!slept) co_return slept;
    pause = std::min(2 * pause, kLongestPause);
  }
}

asio::awaitable<void> UpdateWorkflow::conclude(std::optional<Error> why) {
  for (bool is_told = false;; is_told = true) {
    const auto finished = co_await services_.operations.finish(operation_, why, row_at_end());
    if (finished) break;
    if (!is_told) {
      log_event(LogLevel::kError, "an operation cannot end",
                {{"operation", operation_}, {"error", finished.error().message}});
    }
    if (!co_await sleep_for(kLongestPause)) co_return;
  }
  services_.attachments.end_update(intent_.attachment);
  attachment().has_operation = false;
  if (!why) {
    log_event(LogLevel::kInfo, "updated", {{"vm", attachment().vm}, {"attachment", intent_.attachment}});
  }
}

Task<void> UpdateWorkflow::give_up() {
  std::optional<Error> why;
  if (const auto wanted = check_wanted(); !wanted) {
    why = wanted.error().in(name_);
  } else if (!is_kept()) {
    why = Error{Code::kAborted, name_ + ": the host was rebooted before it was done", "HOST_REBOOTED"};
  }
  const auto finished = co_await services_.operations.finish(operation_, why, row_at_end());
  if (!finished) co_return finished;
  services_.attachments.end_update(intent_.attachment);
  attachment().has_operation = false;
  co_return finished;
}

Task<StepOutcome> UpdateWorkflow::admit() {
  if (services_.outbox != nullptr && services_.outbox->is_full()) {
    co_return fail(Code::kResourceExhausted, "OUTBOX_FULL",
                   fmt::format("the VMaaS has not taken {} completions", services_.outbox->untold()));
  }
  const auto good = check_attachment();
  if (!good) co_return pass(good);
  co_return done();
}

Task<StepOutcome> UpdateWorkflow::resolve() {
  const auto known = co_await wait_until_known(services_.vpcs, wanted(), begun_ + services_.vpc_wait);
  if (!known) co_return pass(known);
  // No await from here on: what is checked is still true when it is reserved.
  if (services_.operations.is_known(intent_.request))
    co_return fail(Code::kAborted, "", "a retry of the same request was faster");
  const auto good = check_attachment();
  if (!good) co_return pass(good);
  auto room = reserve_rules();
  if (!room) co_return pass(room);
  auto place = services_.turns.queue_up(tenant(), attachment().vm);
  if (!place) co_return pass(place);
  room_.emplace(*std::move(room));
  place_.emplace(*std::move(place));
  co_return done();
}

Result<void> UpdateWorkflow::check_attachment() {
  const auto now = services_.attachments.get(intent_.attachment);
  if (!now) return pass(now);
  if (now->state == AttachmentState::kQuarantined) {
    return fail(Code::kFailedPrecondition, "QUARANTINED",
                fmt::format("{} is detached; its function is not clean yet", now->id));
  }
  if (now->state == AttachmentState::kRestoring) {
    return fail(Code::kFailedPrecondition, "NOT_ATTACHED",
                fmt::format("{} is not attached again since the host was rebooted", now->id));
  }
  if (now->state != AttachmentState::kAttached || now->has_operation) {
    return fail(Code::kFailedPrecondition, "ATTACHMENT_BUSY",
                fmt::format("{} is being attached, updated or detached", now->id));
  }
  if (const std::string etag = etag_of(*now); !intent_.etag.empty() && intent_.etag != etag)
    return fail(Code::kAborted, "ETAG_MISMATCH", fmt::format("{} is at {} now", now->id, etag));
  auto planned = plan_update(*now, intent_);
  if (!planned) return pass(planned);
  planned_ = *std::move(planned);
  return {};
}

std::vector<InterfaceIntent> UpdateWorkflow::wanted() const {
  std::vector<InterfaceIntent> intents;
  const Attachment& now = *std::as_const(services_.attachments).find(intent_.attachment);
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    if (planned_[i]) intents.push_back(with_values(now.interfaces[i].intent, *planned_[i]));
  }
  return intents;
}

Result<EswitchBudget::Reservation> UpdateWorkflow::reserve_rules() {
  TableUse needed;
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    if (planned_[i]) needed += services_.reconciler.use_beside(attachment().interfaces[i], *planned_[i]);
  }
  return services_.eswitch_budget.reserve(needed, services_.reconciler.held_use());
}

Result<void> UpdateWorkflow::check_wanted() {
  if (!attachment().update->is_unwanted) return {};
  return fail(Code::kCancelled, "WITHDRAWN", "the VMaaS has withdrawn it");
}

// A push that was being programmed when this was accepted may lack a group, and nothing would pass a set that
// lacks one. It is refused in the end, because this attachment names the group; until then this waits.
Result<void> UpdateWorkflow::check_groups_staged() {
  for (const Interface& one : attachment().interfaces) {
    if (!one.other) continue;
    const dataplane::Vpc* vpc = services_.vpcs.find_staged(one.intent.vpc);
    if (vpc == nullptr || find_missing_group(one.other->policy_groups, *vpc)) {
      return fail(Code::kUnavailable, "POLICY_GROUP_UNKNOWN",
                  fmt::format("VPC {} has not all of its policy groups while it is pushed", one.intent.vpc));
    }
  }
  return {};
}

Task<StepOutcome> UpdateWorkflow::stage() {
  const auto known = check_groups_staged();
  if (!known) co_return pass(known);
  attachment().update->stage = UpdateStage::kStaged;
  auto staged = co_await ensure_sets();
  if (staged) room_.reset();
  co_return staged;
}

Task<StepOutcome> UpdateWorkflow::move() {
  attachment().update->stage = UpdateStage::kMoved;
  return ensure_ports();
}

Task<StepOutcome> UpdateWorkflow::move_back() {
  auto& stage = attachment().update->stage;
  stage = std::min(stage, UpdateStage::kStaged);
  return ensure_ports();
}

Task<StepOutcome> UpdateWorkflow::unstage() {
  attachment().update->stage = UpdateStage::kAccepted;
  return ensure_sets();
}

Task<StepOutcome> UpdateWorkflow::retire() {
  return ensure_sets();
}

Task<StepOutcome> UpdateWorkflow::set_rates() {
  std::vector<Interface> changed;
  for (const Interface& one : attachment().interfaces) {
    if (!one.other) continue;
    changed.push_back(one);
    changed.back().intent.rates = one.other->rates;
  }
  return for_each_interface(std::move(changed), [this](const Interface& one) {
    return services_.driver.set_rate(prepare_args(one));
  });
}

Task<StepOutcome> UpdateWorkflow::set_rates_back() {
  std::vector<Interface> changed;
  for (const Interface& one : attachment().interfaces) {
    if (one.other) changed.push_back(one);
  }
  return for_each_interface(std::move(changed), [this](const Interface& one) {
    return services_.driver.set_rate(prepare_args(one));
  });
}

Task<StepOutcome> UpdateWorkflow::verify() {
  const auto of_sets = co_await services_.reconciler.verify_other_sets(attachment());
  if (!of_sets) co_return pass(of_sets);
  const auto of_ports = co_await services_.reconciler.verify(attachment());
  if (!of_ports) co_return pass(of_ports);
  co_return done(fmt::format("{} rules read back", *of_sets + *of_ports));
}

Task<StepOutcome> UpdateWorkflow::keep() {
  attachment().update->may_be_withdrawn = false;
  SavedAttachment kept = row();
  keep_values(kept.attachment);
  const auto saved = co_await services_.state.save(std::move(kept));
  if (!saved) co_return pass(saved);
  keep_values(attachment());
  co_return done();
}

Task<StepOutcome> UpdateWorkflow::ensure_ports() {
  const auto ensured = co_await services_.reconciler.ensure(Reconciler::port_scopes_of(attachment()));
  if (!ensured) co_return pass(ensured);
  co_return done();
}

Task<StepOutcome> UpdateWorkflow::ensure_sets() {
  const auto scopes = Reconciler::other_set_scopes_of(attachment());
  if (scopes.empty()) co_return StepOutcome{.status = host::StepStatus::kNotApplicable};
  const auto ensured = co_await services_.reconciler.ensure(scopes);
  if (!ensured) co_return pass(ensured);
  co_return done();
}

SavedAttachment UpdateWorkflow::row() {
  return {attachment(), operation_, intent_.request, fingerprint_, intent_.traceparent};
}

SavedAttachment UpdateWorkflow::row_at_end() {
  SavedAttachment saved = row();
  saved.attachment.update.reset();
  for (Interface& one : saved.attachment.interfaces) one.other.reset();
  saved.attachment.has_operation = false;
  return saved;
}

Task<void> withdraw_update(Services& services, OperationId operation) {
  const Operation& running = services.operations.running(operation);
  const AttachmentId id = running.attachment;
  const auto is_open = [&] {
    const Attachment* now = std::as_const(services.attachments).find(id);
    return now != nullptr && now->update && now->update->may_be_withdrawn;
  };
  if (!is_open()) co_return Result<void>();
  SavedAttachment row{*services.attachments.find(id), operation, running.request,
                      services.operations.fingerprint_of(operation), running.traceparent};
  row.attachment.update->is_unwanted = true;
  // Writes are made in the order in which they are asked for: the update's own next one comes after this.
  const auto saved = co_await services.state.save(std::move(row));
  if (!saved) co_return saved;
  if (is_open()) services.attachments.find(id)->update->is_unwanted = true;
  co_return Result<void>();
}

}  // namespace berth::agent
