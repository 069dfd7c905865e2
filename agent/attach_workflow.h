// Attach a VM to a VPC: the main flow of Berth, one line a step. Read the table in the .cc first.
#pragma once

#include "agent/services.h"
#include "agent/step_table.h"

#include <chrono>

namespace berth::agent {

class AttachWorkflow {
 public:
  AttachWorkflow(Services& services, AttachIntent intent);
  // To be run() only: an attach that a former process had accepted, and that is in the tables again.
  AttachWorkflow(Services& services, const SavedAttachment& halfway);

  // The part that may refuse: admit and resolve. Until it has succeeded nothing has changed; then the
  // attachment exists, on the disk too, and its function is leased. Returns the operation, which the caller
  // must run().
  Task<Operation> accept();

  // The rest, to the operation's end. Never fails: what goes wrong is in the operation, and undone.
  asio::awaitable<void> run();

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

  Task<StepOutcome> set_gate(Gate gate, std::string detail);
  NewOperation begun() const;
  SavedAttachment row();
  host::PrepareArgs wanted_interface();
  Attachment& attachment() { return *services_.attachments.find(id_); }
  friend struct AttachSteps;

  Services& services_;
  AttachIntent intent_;
  std::string fingerprint_;  // of the intent as it was asked, before defaults are filled in
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::vector<StepRecord> records_;
  AttachmentId id_;
  OperationId operation_;
};

}  // namespace berth::agent
