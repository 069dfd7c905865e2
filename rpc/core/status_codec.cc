#include "rpc/core/status_codec.h"

#include "rpc/wire/status.pb.h"

namespace berth::rpc::core {
namespace {

constexpr std::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr std::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";
constexpr std::size_t kMessageMax = 1024;
// base64 makes 4/3 of it: about 3.4 KiB of header.
constexpr std::size_t kDetailsMax = 2560;

int wire_code(Code code) {
  return static_cast<int>(code == Code::kHardwareRejected ? Code::kFailedPrecondition : code);
}

// Not through the middle of a UTF-8 sequence.
std::string shortened(const std::string& text) {
  if (text.size() <= kMessageMax) return text;
  std::size_t end = kMessageMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

void add_detail(wire::Status& status, std::string_view url, const google::protobuf::MessageLite& detail) {
  auto& any = *status.add_details();
  any.set_type_url(std::string(url));
  detail.SerializeToString(any.mutable_value());
}

std::string encode_details(const Error& error, const std::string& message, std::size_t violation_count) {
  wire::Status status;
  status.set_code(wire_code(error.code));
  status.set_message(message);
  if (!error.reason.empty() || !error.metadata.empty()) {
    wire::ErrorInfo info;
    info.set_reason(error.reason);
    info.set_domain(std::string(kErrorDomain));
    for (const auto& [key, value] : error.metadata) (*info.mutable_metadata())[key] = shortened(value);
    add_detail(status, kErrorInfoUrl, info);
  }
  if (violation_count > 0) {
    wire::BadRequest request;
    for (std::size_t i = 0; i < violation_count; ++i) {
      auto& violation = *request.add_field_violations();
      violation.set_field(shortened(error.violations[i].field));
      violation.set_description(shortened(error.violations[i].description));
    }
    add_detail(status, kBadRequestUrl, request);
  }
  return status.SerializeAsString();
}

}  // namespace

WireStatus encode_status(const Error& error) {
  WireStatus status{.code = wire_code(error.code), .message = shortened(error.message), .details = {}};
  if (error.reason.empty() && error.metadata.empty() && error.violations.empty()) return status;
  for (std::size_t count = error.violations.size();; count /= 2) {
    status.details = encode_details(error, status.message, count);
    if (status.details.size() <= kDetailsMax || count == 0) break;
  }
  if (status.details.size() > kDetailsMax) {  // metadata too large: the reason is worth more
    Error bare{.code = error.code, .message = {}, .reason = shortened(error.reason)};
    status.details = encode_details(bare, status.message, 0);
  }
  return status;
}

Error decode_status(const WireStatus& status) {
  const bool known = status.code >= 1 && status.code <= 16;
  Error error{.code = known ? static_cast<Code>(status.code) : Code::kUnknown, .message = status.message};
  wire::Status parsed;
  if (status.details.empty() || !parsed.ParseFromString(status.details)) return error;
  for (const auto& detail : parsed.details()) {
    if (detail.type_url() == kErrorInfoUrl) {
      wire::ErrorInfo info;
      if (!info.ParseFromString(detail.value())) continue;
      error.reason = info.reason();
      error.metadata.insert(info.metadata().begin(), info.metadata().end());
    } else if (detail.type_url() == kBadRequestUrl) {
      wire::BadRequest request;
      if (!request.ParseFromString(detail.value())) continue;
      for (const auto& violation : request.field_violations()) {
        error.violations.push_back({.field = violation.field(), .description = violation.description()});
      }
    }
  }
  return error;
}

}  // namespace berth::rpc::core
