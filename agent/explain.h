// What an operator asks of the rules: which of them a packet would take, and why it ends where it ends.
#pragma once

#include "agent/attachment_store.h"
#include "base/task.h"
#include "dataplane/explain/explain.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace berth::agent {

struct FrameBytes {
  std::string bytes;
};

struct ExplainQuestion {
  std::optional<AttachmentId> attachment;        // whose VM sends the packet; none: it comes from the wire
  std::size_t interface = 0;                     // by which one, in the order of the attachment
  std::variant<std::string, FrameBytes> packet;  // text as of dataplane/explain/headers.h, or a frame
};

struct ExplainAnswer {
  std::string packet;  // as it was understood
  struct Step {
    dataplane::HeldRule rule;
    std::string packet;  // what the rule made of it
  };
  std::vector<Step> steps;
  std::string end;
};

// INVALID_ARGUMENT (MALFORMED_PACKET), NOT_FOUND (ATTACHMENT_UNKNOWN, INTERFACE_UNKNOWN).
Task<ExplainAnswer> explain(dataplane::Eswitch& eswitch, const AttachmentStore& attachments,
                            ExplainQuestion question);

}  // namespace berth::agent
