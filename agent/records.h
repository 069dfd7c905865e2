// What the state database keeps of attachments and operations, and the bytes of its rows.
#pragma once

#include "agent/attachment.h"
#include "agent/operation.h"
#include "base/error.h"

#include <string>
#include <string_view>

namespace berth::agent {

// An attachment and the operation that made it what it is; the gate follows from the state.
struct SavedAttachment {
  Attachment attachment;
  OperationId operation;
  RequestId request;
  std::string fingerprint;  // of the request: agent/operation.h
  std::string traceparent = {};
};

// An operation that has ended, and what its request asked for.
struct FinishedOperation {
  Operation operation;
  std::string fingerprint;
};

// Another text whenever anything of the attachment that is kept is another, the same after a restart.
std::string etag_of(const Attachment& attachment);

std::string format_record(const SavedAttachment& saved);
std::string format_record(const FinishedOperation& finished);
// DATA_LOSS (STATE_CORRUPT) when the bytes are not what format_record() makes, or made of schemas 4 and 5.
// What an operation's revision is, the row says.
Result<SavedAttachment> parse_attachment_record(std::string_view bytes);
Result<FinishedOperation> parse_operation_record(std::string_view bytes);

}  // namespace berth::agent
