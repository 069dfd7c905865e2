// The attach workflow after a reboot of the host: what was attached is attached again, on the functions that
// it has, with nobody asking. docs/host.md says what the VMaaS sees of it. And the steps that every attach
// of a former process takes first.
#include "agent/attach_workflow.h"
#include "agent/device_steps.h"
#include "agent/interface_steps.h"
#include "agent/way_out.h"
#include "base/log.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace berth::agent {
namespace {

// A guest may be on its vhost-user socket already: VMs that start with the host do not wait for us. Nothing
// of such a port was lost, and nothing is taken from its guest.
std::vector<Interface> without_sockets(const std::vector<Interface>& interfaces) {
  std::vector<Interface> found;
  std::ranges::copy_if(interfaces, std::back_inserter(found),
                       [](const Interface& one) { return one.function.socket.empty(); });
  return found;
}

}  // namespace

// Every attempt begins at nothing, whatever the one before has left, and ends with an open gate or a closed
// one. There is no probe: a VM that runs already would send in between.
struct RestoreSteps {
  static constexpr std::array<Step<AttachWorkflow>, 9> kAll = {{
      {"allow", &AttachWorkflow::allow},          // the devices are still no others', and not the host's
      {"close", &AttachWorkflow::close},          // default drop
      {"unplug", &AttachWorkflow::unplug_again},  // a VM that got it from an earlier attempt has lost it
      {"program", &AttachWorkflow::program},      // from here on as in an attach
      {"prepare", &AttachWorkflow::prepare_again},
      {"expose", &AttachWorkflow::expose},
      {"bind", &AttachWorkflow::bind},
      {"plug", &AttachWorkflow::plug},
      {"verify", &AttachWorkflow::verify},
  }};
};

asio::awaitable<void> AttachWorkflow::restore() {
  // A detach that comes meanwhile waits for its turn, so the attachment is there until this one's is over.
  auto place = services_.turns.queue_up_again(tenant(), intent_.vm);
  if (!co_await place.wait_for_turn() || !check_restoring()) co_return;
  std::vector<StepRecord> unheard;
  auto ended = co_await take_steps<AttachWorkflow>(
      *this, RestoreSteps::kAll, unheard,
      {.may_go_on = [this] { return check_restoring(); }, .patience = services_.patience});
  if (!check_restoring()) co_return;
  if (ended) {
    SavedAttachment restored = row();
    restored.attachment.state = AttachmentState::kAttached;
    restored.attachment.fault.reset();
    ended = co_await services_.state.save(std::move(restored));
  }
  if (!ended) {
    (void)co_await set_gate(Gate::kClosed, "");  // the next attempt begins with it
    if (check_restoring()) note_fault(ended.error());
    co_return;
  }
  if (!check_restoring()) co_return;  // a detach came while the disk wrote, and has its row behind this one
  attachment().state = AttachmentState::kAttached;
  attachment().fault.reset();
  tell_attached("attachment restored");
}

Result<void> AttachWorkflow::check_restoring() const {
  const Attachment* now = std::as_const(services_.attachments).find(id_);
  if (now != nullptr && now->state == AttachmentState::kRestoring) return {};
  return fail(Code::kCancelled, "WITHDRAWN", "the VMaaS has detached it");
}

// Told once, not at every attempt.
void AttachWorkflow::note_fault(const Error& why) {
  const bool is_known = attachment().fault && attachment().fault->message == why.message;
  attachment().fault = why;
  if (is_known) return;
  log_event(LogLevel::kError, "attachment not restored",
            {{"vm", intent_.vm}, {"attachment", id_}, {"error", why.message}});
}

// What was the VM's before the reboot may be a disk of the host's now: addresses follow the slots.
Task<StepOutcome> AttachWorkflow::allow() {
  for (const host::PciAddress& device : attachment().devices) {
    if (services_.devices == nullptr) co_return host::device_not_allowed(device);
    const auto allowed = services_.devices->check(device);
    if (!allowed) co_return pass(allowed);
  }
  co_return done();
}

Task<StepOutcome> AttachWorkflow::unplug() {
  return unplug_all(services_, attachment());
}

Task<StepOutcome> AttachWorkflow::unbind() {
  return unbind_all(services_, attachment());
}

Task<StepOutcome> AttachWorkflow::unplug_again() {
  const auto devices = co_await unplug_devices(services_.passthrough, attachment());
  if (!devices) co_return devices;
  co_return co_await for_each_interface(
      without_sockets(attachment().interfaces),
      [this](const Interface& one) { return services_.driver.unplug(one.function, intent_.vm); });
}

Task<StepOutcome> AttachWorkflow::prepare_again() {
  return for_each_interface(without_sockets(attachment().interfaces), [this](const Interface& one) {
    return services_.driver.prepare(prepare_args(one));
  });
}

}  // namespace berth::agent
