// A long-running operation: one attach, detach or update, with the time of every step.
#pragma once

#include "agent/update.h"
#include "base/error.h"
#include "base/ids.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::agent {

enum class OperationKind : std::uint8_t { kAttach, kDetach, kUpdate };

enum class StepStatus : std::uint8_t { kDone, kNotApplicable, kFailed };

struct StepRecord {
  std::string name;
  StepStatus status = StepStatus::kDone;
  std::string detail;
  std::chrono::microseconds took{0};
};

struct Operation {
  OperationId id;
  OperationKind kind = OperationKind::kAttach;
  RequestId request;
  AttachmentId attachment;
  std::string traceparent;  // of the request, if it had one (attachment.h)
  std::chrono::steady_clock::time_point begun;
  std::vector<StepRecord> steps;

  // Of a finished operation.
  bool done = false;
  std::optional<Error> error;
  std::chrono::microseconds total{0};
  std::uint64_t revision = 0;
  std::optional<Attachment> result;  // how the attachment was when it ended
};

// What a request asks for, apart from its id: two requests with one id must agree on it.
std::string fingerprint(const AttachIntent& intent);
std::string fingerprint(const AttachmentId& detached);
std::string fingerprint(const UpdateIntent& intent);

}  // namespace berth::agent
