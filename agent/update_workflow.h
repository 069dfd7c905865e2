// Update of an attachment, in place: other rates and policy groups, and no packet that both the old and the
// new values let pass is lost, none passes that both deny. Read the tables in the .cc first.
//
// All or nothing. Until the step `keep` the attachment is on the disk as it was, and whatever fails takes it
// back there; from `keep` on it is on the disk as it shall be, and only what nobody needs any more has to go.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"
#include "agent/update.h"

#include <chrono>
#include <optional>
#include <span>
#include <vector>

namespace berth::agent {

class UpdateWorkflow {
 public:
  UpdateWorkflow(Services& services, UpdateIntent intent);
  // One that a former process of ours had accepted, whose attachment is in the tables again: to be run(), or,
  // when the attachment was lost in a reboot of the host, to be given up.
  UpdateWorkflow(Services& services, const SavedAttachment& halfway);

  // The part that may refuse. Until it has succeeded nothing has changed; then the operation is on the disk.
  // Returns it; the caller must run().
  Task<Operation> accept();

  // The same part, and nothing is taken: the attachment as it would be.
  Task<Attachment> check();

  // The rest, to the operation's end. Never fails: what goes wrong is in the operation, and taken back.
  asio::awaitable<void> run();

  // Ends the operation of an attachment that is to be restored: it is restored as it was, and the operation
  // fails (HOST_REBOOTED); one that was kept has succeeded. UNAVAILABLE (STATE_UNWRITABLE): it has not ended.
  Task<void> give_up();

 private:
  // The steps, in order: until it is kept,
  Task<StepOutcome> admit();
  Task<StepOutcome> resolve();
  Task<StepOutcome> stage();
  Task<StepOutcome> move();
  Task<StepOutcome> set_rates();
  Task<StepOutcome> verify();
  Task<StepOutcome> keep();
  // after that,
  Task<StepOutcome> retire();
  // or back again.
  Task<StepOutcome> move_back();
  Task<StepOutcome> set_rates_back();
  Task<StepOutcome> unstage();

  // Admission that does not wait.
  Result<void> check_attachment();
  Result<EswitchBudget::Reservation> reserve_rules();
  Result<void> check_wanted();
  Result<void> check_groups_staged();
  Task<StepOutcome> ensure_ports();
  Task<StepOutcome> ensure_sets();
  // Takes `steps` again and again until all of them are done; an error when this is cancelled.
  Task<void> insist(std::span<const Step<UpdateWorkflow>> steps);
  asio::awaitable<void> conclude(std::optional<Error> why);
  std::vector<InterfaceIntent> wanted() const;
  SavedAttachment row();
  SavedAttachment row_at_end();
  const VpcId& tenant() { return attachment().interfaces.front().intent.vpc; }
  bool is_kept() { return attachment().update->stage == UpdateStage::kKept; }
  Attachment& attachment() { return *services_.attachments.find(intent_.attachment); }
  friend struct UpdateSteps;

  Services& services_;
  UpdateIntent intent_;
  std::string name_;         // for messages: "update att-1"
  std::string fingerprint_;  // of the intent as it was asked
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::vector<StepRecord> records_;
  std::vector<std::optional<InterfaceValues>> planned_;  // of the interfaces, until it is accepted
  OperationId operation_;
  std::optional<Turns::Place> place_;               // until the operation has ended
  std::optional<EswitchBudget::Reservation> room_;  // until its rules are held
};

// An update that runs shall stop and be taken back: known on the disk when this returns. Nothing happens to
// one that is kept already, or is being taken back. UNAVAILABLE (STATE_UNWRITABLE).
Task<void> withdraw_update(Services& services, OperationId operation);

}  // namespace berth::agent
