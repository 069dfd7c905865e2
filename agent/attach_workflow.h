// Attach a VM to its VPCs: the main flow of Berth, one line a step. Read the table in the .cc first.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"

#include <chrono>
#include <optional>
#include <string_view>

namespace berth::agent {

class AttachWorkflow {
 public:
  AttachWorkflow(Services& services, AttachIntent intent);
  // Of a former process, and in the tables again: an attach that it had accepted, to be run() only; or, with
  // the state kRestoring, an attachment of before the host's reboot, to be restored only.
  AttachWorkflow(Services& services, const SavedAttachment& halfway);

  // The part that may refuse: admit and resolve. Until it has succeeded nothing has changed; then the
  // attachment exists, on the disk too, and its functions are leased. Returns the operation, which the caller
  // must run().
  Task<Operation> accept();

  // The same part, and nothing is taken: the attachment as it would be, on no function.
  Task<Attachment> check();

  // The rest, to the operation's end. Never fails: what goes wrong is in the operation, and undone.
  asio::awaitable<void> run();

  // One attempt to attach again what the host lost in a reboot; no operation tells of it. The attachment is
  // attached then, or its `fault` says why not and its gate is closed. When somebody detaches it meanwhile it
  // is left to him.
  asio::awaitable<void> restore();

 private:
  // The steps, in order.
  Task<StepOutcome> admit();
  Task<StepOutcome> resolve();
  Task<StepOutcome> close();
  Task<StepOutcome> program();
  Task<StepOutcome> prepare();
  Task<StepOutcome> expose();
  Task<StepOutcome> probe();
  Task<StepOutcome> bind();
  Task<StepOutcome> plug();
  Task<StepOutcome> verify();
  // Of one that a former process has begun.
  Task<StepOutcome> allow();
  Task<StepOutcome> unplug();
  Task<StepOutcome> unbind();
  // Of restore() only.
  Task<StepOutcome> unplug_again();
  Task<StepOutcome> prepare_again();

  Task<StepOutcome> set_gate(Gate gate, std::string detail);
  NewOperation begun() const;
  SavedAttachment row();
  Result<void> allocate();
  Result<void> check_fit() const;
  Result<EswitchBudget::Reservation> reserve_rules();
  Result<void> check_wanted();
  Result<void> check_restoring() const;
  void note_fault(const Error& why);
  // To the controllers and the log.
  void tell_attached(std::string_view how);
  // One detail for each interface.
  std::vector<Interface> lease_functions(std::vector<std::string>& details);
  const VpcId& tenant() const { return intent_.interfaces.front().vpc; }
  Attachment& attachment() { return *services_.attachments.find(id_); }
  friend struct AttachSteps;
  friend struct ResumeSteps;
  friend struct RestoreSteps;

  Services& services_;
  AttachIntent intent_;      // until it is accepted
  std::string name_;         // for messages: "attach vm-1 to blue"
  std::string fingerprint_;  // of the intent as it was asked, before defaults are filled in
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::vector<StepRecord> records_;
  AttachmentId id_;
  OperationId operation_;
  bool is_resumed_ = false;                         // a former process of ours has begun it
  std::optional<Turns::Place> place_;               // until the operation has ended
  std::optional<EswitchBudget::Reservation> room_;  // until its rules are held
};

// An attach that runs shall stop and be undone: known on the disk when this returns. Nothing happens to one
// that is too far, or is being undone already. UNAVAILABLE (STATE_UNWRITABLE).
Task<void> withdraw_attach(Services& services, OperationId operation);

}  // namespace berth::agent
