#include "base/error.h"

#include <utility>

#include <fmt/format.h>

namespace berth {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kUnknown:
      return "UNKNOWN";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kAborted:
      return "ABORTED";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kUnimplemented:
      return "UNIMPLEMENTED";
    case Code::kInternal:
      return "INTERNAL";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kDataLoss:
      return "DATA_LOSS";
    case Code::kUnauthenticated:
      return "UNAUTHENTICATED";
    case Code::kHardwareRejected:
      return "HARDWARE_REJECTED";
  }
  return "UNKNOWN";
}

Error Error::in(std::string_view phrase) && {
  message = fmt::format("{}: {}", phrase, message);
  return std::move(*this);
}

Error Error::in(std::string_view phrase) const& {
  return Error(*this).in(phrase);
}

std::unexpected<Error> fail(Code code, std::string reason, std::string message) {
  return std::unexpected(Error{.code = code, .message = std::move(message), .reason = std::move(reason)});
}

std::unexpected<Error> fail_field(std::string field, std::string reason, std::string description) {
  Error error{.code = Code::kInvalidArgument,
              .message = fmt::format("{}: {}", field, description),
              .reason = std::move(reason)};
  error.violations.push_back({std::move(field), std::move(description)});
  return std::unexpected(std::move(error));
}

}  // namespace berth
