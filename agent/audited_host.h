// What attached VMs have of the host, as a part of the audit: functions and devices on their drivers, with
// their settings, in their VMs.
#pragma once

#include "agent/audit.h"
#include "agent/turns.h"
#include "host/function_driver.h"
#include "host/passthrough.h"

namespace berth::agent {

class AuditedHost : public AuditedPart {
 public:
  // All outlive it. `passthrough`: null on a host that gives nobody a device.
  AuditedHost(const AttachmentStore& attachments, host::FunctionDriver& driver,
              host::Passthrough* passthrough, Turns& turns)
      : attachments_(attachments), driver_(driver), passthrough_(passthrough), turns_(turns) {}

  std::string_view name() const override { return "host"; }
  // A VM whose monitor does not answer is passed over: nothing is known of it.
  Task<std::vector<std::string>> check(std::vector<Attachment> attachments) override;
  // Each in its VM's turn: nothing is repaired that is being detached.
  Task<void> repair(std::vector<Attachment> attachments) override;

 private:
  Task<std::vector<std::string>> look_at(Attachment attachment);
  Task<void> put_right(Attachment attachment);
  bool is_settled(const AttachmentId& id) const;

  const AttachmentStore& attachments_;
  host::FunctionDriver& driver_;
  host::Passthrough* passthrough_;
  Turns& turns_;
};

}  // namespace berth::agent
