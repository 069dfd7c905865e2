#include "rpc/core/response_head.h"

#include "rpc/core/header_codec.h"
#include "rpc/core/request_head.h"
#include "rpc/core/status_codec.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace berth::rpc::core {
namespace {

// grpc/grpc doc/http-grpc-status-mapping.md
Code code_of_http_status(std::string_view status) {
  if (status == "400") return Code::kInternal;
  if (status == "401") return Code::kUnauthenticated;
  if (status == "403") return Code::kPermissionDenied;
  if (status == "404") return Code::kUnimplemented;
  if (status == "429" || status == "502" || status == "503" || status == "504") return Code::kUnavailable;
  return Code::kUnknown;
}

constexpr std::uint32_t kRefusedStream = 7;

// grpc/grpc doc/PROTOCOL-HTTP2.md, "Errors"
Code code_of_reset(std::uint32_t http2_code) {
  switch (http2_code) {
    case kRefusedStream:
      return Code::kUnavailable;
    case 8:  // CANCEL
      return Code::kCancelled;
    case 11:  // ENHANCE_YOUR_CALM
      return Code::kResourceExhausted;
    case 12:  // INADEQUATE_SECURITY
      return Code::kPermissionDenied;
    default:
      return Code::kInternal;
  }
}

int parse_status(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return 2;  // UNKNOWN
  return value;
}

}  // namespace

void ResponseHead::add(std::string_view name, std::string_view value) {
  if (name == ":status") {
    block_.http_status = value;
  } else if (name == "content-type") {
    block_.content_type = value;
  } else if (name == "grpc-status") {
    block_.grpc_status = value;
  } else if (name == "grpc-message") {
    block_.grpc_message = percent_decode(value);
  } else if (name == "grpc-status-details-bin") {
    block_.details = base64_decode(value).value_or("");
  } else if (name == "grpc-encoding") {
    encoding_ = value;
  } else {
    (void)add_metadata(block_.metadata, name, value);  // an unreadable value is as good as none
  }
}

bool ResponseHead::end_block(bool is_end_of_stream) {
  const Block* const block = &block_;
  if (!has_headers_ && block->http_status.starts_with('1')) {
    block_ = {};
    return false;
  }
  if (status_) return false;
  if (has_headers_ || is_end_of_stream) {
    if (!has_headers_ && block->http_status != "200" && !block->grpc_status) {
      fail_with({.code = code_of_http_status(block->http_status),
                 .message = fmt::format("the server answered HTTP status {}", block->http_status)});
      return false;
    }
    take_trailers();
    return false;
  }
  if (block->http_status != "200") {
    fail_with({.code = code_of_http_status(block->http_status),
               .message = fmt::format("the server answered HTTP status {}", block->http_status)});
    return false;
  }
  if (!is_grpc_content_type(block->content_type)) {
    fail_with({.code = Code::kUnknown,
               .message = fmt::format("the server answered with content-type '{}'", block->content_type)});
    return false;
  }
  has_headers_ = true;
  initial_ = std::move(block_.metadata);
  block_ = {};
  return true;
}

void ResponseHead::take_trailers() {
  trailing_ = std::move(block_.metadata);
  if (!block_.grpc_status) {
    fail_with({.code = Code::kUnknown, .message = "the call ended without a grpc-status"});
    return;
  }
  const int code = parse_status(*block_.grpc_status);
  if (code == 0) {
    status_ = Result<void>();
    return;
  }
  status_ = std::unexpected(decode_status(
      {.code = code, .message = std::move(block_.grpc_message), .details = std::move(block_.details)}));
}

void ResponseHead::on_reset(std::uint32_t http2_code) {
  fail_with({.code = code_of_reset(http2_code),
             .message = fmt::format("the server reset the call (HTTP/2 error {})", http2_code),
             .reason = http2_code == kRefusedStream ? "STREAM_REFUSED" : ""});
}

void ResponseHead::fail_with(Error error) {
  if (!status_) status_ = std::unexpected(std::move(error));
}

}  // namespace berth::rpc::core
