// berth::Error to gRPC's three trailers and back: grpc-status, grpc-message and
// grpc-status-details-bin (a google.rpc.Status with ErrorInfo and BadRequest).
#pragma once

#include "base/error.h"

#include <string>

namespace berth::rpc::core {

inline constexpr std::string_view kErrorDomain = "berth";

struct WireStatus {
  int code = 0;         // 0 is OK
  std::string message;  // plain text
  std::string details;  // serialized google.rpc.Status, or empty
};

// Cut to what every gRPC client accepts: their default limit is 8 KiB for all trailers together, so a
// long message is shortened and surplus field violations are left out.
WireStatus encode_status(const Error& error);

// For a code that is not 0. Unknown codes become kUnknown; details that do not parse are ignored.
Error decode_status(const WireStatus& status);

}  // namespace berth::rpc::core
