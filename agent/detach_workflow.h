// Detach a VM: the mirror of attach_workflow. Unplug first, default drop last. Also undoes an attach
// that failed half-way: every step is idempotent and does nothing where there is nothing to undo.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"

#include <optional>

namespace berth::agent {

class DetachWorkflow {
 public:
  // `operation` is the one that this undoes; empty: none, or one that accept() is to begin.
  DetachWorkflow(Services& services, AttachmentId attachment, OperationId operation);

  // To be run() only: a detach that a former process had accepted.
  DetachWorkflow(Services& services, const SavedAttachment& halfway);

  // Refuses (FAILED_PRECONDITION, ATTACHMENT_BUSY) while another operation has the attachment. When it
  // returns the operation is on the disk.
  Task<Operation> accept(DetachIntent intent);

  // The steps and the operation's end.
  asio::awaitable<void> run();

  // The steps alone, recorded in `records`. When a function cannot be proven clean, all of them are
  // quarantined: they keep their default drops, and nobody gets them until it is. An error: not even the
  // tenant's rules could be removed.
  Task<void> give_back(std::vector<StepRecord>& records);

  // Ends the operation, with an error or without, and with it the attachment, unless its functions are
  // in quarantine. As long as the disk does not take it, it goes on trying, until cancelled.
  asio::awaitable<void> conclude(std::optional<Error> why);

  // The steps once more, for quarantined functions; no operation tells of it.
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
  Freed freed();
  // The attachment's row as the steps leave it, or its functions and addresses when they are clean.
  AttachmentEnd left();
  // Takes clean functions and their addresses back into the pools, and the attachment off the tables.
  void settle();
  const VpcId& tenant() { return attachment().interfaces.front().intent.vpc; }
  Attachment& attachment() { return *services_.attachments.find(id_); }
  friend struct DetachSteps;

  Services& services_;
  AttachmentId id_;
  OperationId operation_;
  std::optional<Turns::Place> place_;  // of an operation of its own, until that has ended
};

// Watches quarantined attachments and gives their functions back when they have become clean. Runs until
// cancelled.
asio::awaitable<void> lift_quarantines(Services& services, std::chrono::milliseconds interval);

}  // namespace berth::agent
