// Errors of the whole tree: one type, a dozen codes with gRPC's names.
//
// Libraries return errors and never log them; the edge (rpc, main) logs once. Each layer that
// passes an error on adds one phrase with the ids it knows:
//   attach vm-7: bind 0000:03:00.2 to vfio-pci: EBUSY
// The code alone decides whether a caller may retry; `reason` is what a program matches on.
#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

// Values are gRPC's status codes (grpc/grpc doc/statuscodes.md), so rpc/ needs no table.
enum class Code {
  kCancelled = 1,
  kUnknown = 2,  // only from peers: ours always know
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
  // Only inside the agent: the eSwitch refused a rule. Leaves the agent as kFailedPrecondition.
  kHardwareRejected = 100,
};

std::string_view code_name(Code code);

// One bad field of a request: path as in the .proto ("interface.ip"), and what is wrong with it.
struct FieldViolation {
  std::string field;
  std::string description;
  bool operator==(const FieldViolation&) const = default;
};

struct Error {
  Code code = Code::kInternal;
  std::string message;
  // UPPER_SNAKE_CASE, stable across versions; empty where the code says all there is to say.
  std::string reason = {};
  std::vector<FieldViolation> violations = {};
  std::map<std::string, std::string> metadata = {};

  // Returns this error with "phrase: " before its message.
  Error in(std::string_view phrase) &&;
  Error in(std::string_view phrase) const&;
  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;

// `return fail(Code::kNotFound, "VPC_UNKNOWN", "VPC blue is not known on this host");`
std::unexpected<Error> fail(Code code, std::string reason, std::string message);

// INVALID_ARGUMENT about one field.
std::unexpected<Error> fail_field(std::string field, std::string reason, std::string description);

// Passes an error on, with one more phrase in front.
template <typename T>
std::unexpected<Error> pass(const Result<T>& failed, std::string_view phrase) {
  return std::unexpected(failed.error().in(phrase));
}
template <typename T>
std::unexpected<Error> pass(const Result<T>& failed) {
  return std::unexpected(failed.error());
}

}  // namespace berth
