// Detach a VM: the mirror of attach_workflow. Unplug first, default drop last. Also undoes an attach
// that failed half-way: every step is idempotent and does nothing where there is nothing to undo.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"

namespace berth::agent {

class DetachWorkflow {
 public:
  DetachWorkflow(Services& services, AttachmentId attachment);

  // To be run() only: a detach that a former process had accepted.
  DetachWorkflow(Services& services, const SavedAttachment& halfway);

  // Refuses (FAILED_PRECONDITION, ATTACHMENT_BUSY) while another operation has the attachment.
  Result<Operation> accept(RequestId request);

  // The steps and the completion.
  asio::awaitable<void> run();

  // The steps alone, recorded in `records`. A function that cannot be proven clean is quarantined: it keeps
  // its default drop, and nobody gets it until it is. An error: not even the tenant's rules could be removed.
  Task<void> give_back(std::vector<StepRecord>& records);

  // The steps once more, for a quarantined function.
  Task<void> try_again();

 private:
  // The steps, in order.
  Task<StepOutcome> unplug();
  Task<StepOutcome> withdraw();
  Task<StepOutcome> unbind();
  Task<StepOutcome> reset();
  Task<StepOutcome> release();

  Task<StepOutcome> set_gate(Gate gate);
  Task<void> quarantine(Error why);
  Task<void> save();
  Attachment& attachment() { return *services_.attachments.find(id_); }
  friend struct DetachSteps;

  Services& services_;
  AttachmentId id_;
  // Of a detach that was asked for; empty where it undoes an attach or tries again.
  OperationId operation_;
  RequestId request_;
};

// Watches quarantined functions and gives each back when it has become clean. Runs until cancelled.
asio::awaitable<void> lift_quarantines(Services& services, std::chrono::milliseconds interval);

}  // namespace berth::agent
