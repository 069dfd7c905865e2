// Text forms that gRPC puts into HTTP/2 headers: percent-encoded messages, base64 of "-bin" values,
// and the grpc-timeout value. Pure functions; nothing here trusts its input.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace berth::rpc::core {

// grpc-message: everything but printable ASCII without '%' becomes %XX.
std::string percent_encode(std::string_view text);
// Malformed escapes stay as they are (the gRPC protocol forbids to fail on them).
std::string percent_decode(std::string_view text);

// Without padding, as gRPC wants it sent.
std::string base64_encode(std::string_view bytes);
// Padded or not; nullopt when it is not base64.
std::optional<std::string> base64_decode(std::string_view text);

// 1 to 8 digits and a unit of HMSmun; nullopt otherwise. What does not fit (99999999H) is cut to
// ten years, which is as good as for ever.
std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text);
// Rounded up to a unit that fits into 8 digits; a passed deadline gives "1n".
std::string format_timeout(std::chrono::nanoseconds timeout);

}  // namespace berth::rpc::core
