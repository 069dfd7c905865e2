// How an agent starts: with what a former process left in the state database and in the eSwitch.
#include "agent/agent.h"
#include "agent/attach_workflow.h"
#include "agent/detach_workflow.h"
#include "agent/run_owned.h"
#include "agent/update_workflow.h"
#include "base/log.h"

#include <algorithm>
#include <utility>

namespace berth::agent {
namespace {

struct FirstAttempts {
  explicit FirstAttempts(asio::any_io_executor executor) : ended(std::move(executor)) {}
  Signal ended;
  std::size_t left = 0;
};

// Until it is attached again, or gone, or quarantined as what was detached is.
asio::awaitable<void> keep_restoring(Services& services, SavedAttachment saved,
                                     std::chrono::milliseconds interval,
                                     std::shared_ptr<FirstAttempts> first) {
  const AttachmentId id = saved.attachment.id;
  const auto is_over = [&] {
    const Attachment* now = services.attachments.find(id);
    return now == nullptr || now->state == AttachmentState::kAttached ||
           now->state == AttachmentState::kQuarantined;
  };
  AttachWorkflow workflow(services, saved);
  co_await workflow.restore();
  if (--first->left == 0) first->ended.notify_all();
  while (!is_over() && co_await sleep_for(interval)) co_await workflow.restore();
}

}  // namespace

Task<Adoption> Agent::start(SavedState saved) {
  const auto checked = co_await check_strangers(saved.is_empty());
  if (!checked) co_return pass(checked);
  if (const auto restored = restore(saved); !restored) co_return pass(restored);
  if (!saved.new_boot.empty()) {
    // Nothing is known of the former boot's functions from here on, and nothing else has been written yet.
    const auto begun = co_await services_.state.save_boot(saved.new_boot, saved.attachments);
    if (!begun) co_return pass(begun);
  }
  auto adopted = co_await reconciler_.resync();
  if (!adopted) co_return pass(adopted, "program the eSwitch");
  const auto given_up = co_await give_up_updates(saved);
  if (!given_up) co_return pass(given_up);
  const auto tried = co_await restore_after_reboot(saved);
  if (!tried) co_return pass(tried);
  for (const SavedAttachment& attachment : saved.attachments) resume(attachment);
  if (outbox_) tasks_.spawn("outbox", outbox_->run());
  if (audit_interval_.count() != 0) tasks_.spawn("audit", auditor_.run(audit_interval_));
  tasks_.spawn("lift quarantines", lift_quarantines(services_, quarantine_interval_));
  co_return adopted;
}

// A state that knows nothing beside an eSwitch full of VMs' rules is the wrong state, or a lost one: taking
// it at its word would cut every VM off.
Task<void> Agent::check_strangers(bool is_empty) {
  if (!is_empty) co_return Result<void>();
  const auto digests = co_await eswitch_.read_digests();
  if (!digests) co_return pass(digests);
  const auto is_functions = [](const dataplane::RuleDigest& digest) { return !digest.owner.is_uplink(); };
  if (std::ranges::none_of(*digests, is_functions)) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "STATE_IS_ANOTHERS",
                 "the eSwitch holds rules of attached VMs, and the state database knows none. Restore the "
                 "database, or restart berth-eswitchd to begin without any attachment");
}

// Nothing waits here: nobody sees the tables half full.
Result<void> Agent::restore(const SavedState& saved) {
  for (const auto& [index, generation] : saved.generations) functions_.set_generation(index, generation);
  for (const SavedAttachment& one : saved.attachments) {
    Attachment attachment = one.attachment;
    for (Interface& interface : attachment.interfaces) {
      const auto taken = take_back(attachment, interface);
      if (!taken) return taken;
    }
    attachments_.insert(std::move(attachment));
  }
  for (const FreedAddress& freed : saved.freed_addresses) addresses_.note_freed(freed);
  operations_.restore(saved);
  if (outbox_) outbox_->restore(saved.untold);
  if (saved.vpcs_version != 0)
    vpcs_.restore(std::make_shared<const dataplane::VpcSet>(saved.vpcs), saved.vpcs_version);
  reconciler_.set_next_hops(saved.next_hops);
  return {};
}

// All at the same time, as turns allow; those that fail are tried again beside everything else.
Task<void> Agent::restore_after_reboot(const SavedState& saved) {
  auto first = std::make_shared<FirstAttempts>(co_await asio::this_coro::executor);
  std::vector<const SavedAttachment*> lost;
  for (const SavedAttachment& one : saved.attachments) {
    if (one.attachment.state == AttachmentState::kRestoring) lost.push_back(&one);
  }
  first->left = lost.size();
  if (saved.is_rebooted()) {
    log_event(LogLevel::kWarning, "the host was rebooted",
              {{"attachments", saved.attachments.size()}, {"to_restore", lost.size()}});
  }
  for (const SavedAttachment* one : lost) {
    tasks_.spawn(fmt::format("restore {}", one->attachment.id),
                 keep_restoring(services_, *one, quarantine_interval_, first));
  }
  while (first->left != 0) {
    const auto woken = co_await first->ended.wait();
    if (!woken) co_return woken;
  }
  co_return Result<void>();
}

// What was being updated when the host was rebooted is restored as it was. Its row says so before anybody
// writes another one.
Task<void> Agent::give_up_updates(const SavedState& saved) {
  for (const SavedAttachment& one : saved.attachments) {
    if (one.attachment.state != AttachmentState::kRestoring || !one.attachment.update) continue;
    UpdateWorkflow update(services_, one);
    const auto given_up = co_await update.give_up();
    if (!given_up) co_return given_up;
  }
  co_return Result<void>();
}

// The function of a former process's attachment, as it is now.
Result<void> Agent::take_back(const Attachment& attachment, Interface& interface) {
  host::Function& function = interface.function;
  const auto leased = functions_.lease(function.index);
  if (!leased) return pass(leased, fmt::format("attachment {}", attachment.id));
  if (leased->generation != function.generation) {
    return fail(Code::kDataLoss, "STATE_CORRUPT",
                fmt::format("attachment {} has lease {} of vf{}, which is at {}", attachment.id,
                            function.generation, function.index, leased->generation));
  }
  function.socket = leased->socket;
  function.is_unbacked = leased->is_unbacked;
  function.is_unmanaged = leased->is_unmanaged;
  function.pf = leased->pf;
  function.mac = interface.intent.mac;
  if (attachment.state == AttachmentState::kQuarantined) functions_.quarantine(function.index);
  return {};
}

// Half-way is finished, in the direction that it had: every step is idempotent.
void Agent::resume(const SavedAttachment& saved) {
  const AttachmentId& id = saved.attachment.id;
  switch (saved.attachment.state) {
    case AttachmentState::kAttaching:
      tasks_.spawn(fmt::format("attach {}", saved.attachment.vm),
                   run_owned(std::make_unique<AttachWorkflow>(services_, saved)));
      break;
    case AttachmentState::kDetaching:
      tasks_.spawn(fmt::format("detach {}", id),
                   run_owned(std::make_unique<DetachWorkflow>(services_, saved)));
      break;
    case AttachmentState::kAttached:
      if (!saved.attachment.update) break;  // nothing to finish
      tasks_.spawn(fmt::format("update {}", id),
                   run_owned(std::make_unique<UpdateWorkflow>(services_, saved)));
      break;
    case AttachmentState::kQuarantined:
    case AttachmentState::kRestoring:
      break;  // lift_quarantines() and keep_restoring() see to these
  }
}

}  // namespace berth::agent
