#include "rpc/core/request_head.h"

#include "base/error.h"
#include "rpc/core/header_codec.h"

#include <algorithm>

namespace berth::rpc::core {
namespace {

constexpr int grpc(Code code) {
  return static_cast<int>(code);
}

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}
bool is_value_character(char c) {
  return c >= ' ' && c <= '~';
}
bool is_binary_key(std::string_view key) {
  return key.ends_with("-bin");
}

// "gzip, identity;q=0.5" lists `coding`.
bool lists(std::string_view list, std::string_view coding) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    item = item.substr(0, std::min(item.find_first_of("; "), item.size()));
    if (item == coding) return true;
  }
  return false;
}

}  // namespace

bool is_grpc_content_type(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc";
  if (!content_type.starts_with(kType)) return false;
  content_type.remove_prefix(kType.size());
  return content_type.empty() || content_type == "+proto" || content_type.starts_with(';') ||
         content_type.starts_with("+proto;");
}

bool is_custom_metadata(std::string_view key, std::string_view value) {
  if (key.empty() || key.starts_with("grpc-") || key == "te" || key == "content-type" ||
      key == "user-agent" || key == "connection" || key == "transfer-encoding" || key == "host") {
    return false;
  }
  if (!std::ranges::all_of(key, is_key_character)) return false;
  if (is_binary_key(key)) return true;
  return std::ranges::all_of(value, is_value_character) && !value.starts_with(' ') && !value.ends_with(' ');
}

bool add_metadata(Metadata& metadata, std::string_view name, std::string_view value) {
  if (name.empty() || name.front() == ':' || name.starts_with("grpc-") || name == "te" ||
      name == "content-type") {
    return true;
  }
  if (!is_binary_key(name)) {
    metadata.emplace(name, value);
    return true;
  }
  // Several binary values may share one field, separated by commas.
  while (true) {
    const std::size_t comma = std::min(value.find(','), value.size());
    auto bytes = base64_decode(value.substr(0, comma));
    if (!bytes) return false;
    metadata.emplace(name, *std::move(bytes));
    if (comma == value.size()) return true;
    value.remove_prefix(comma + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
  }
}

void append_metadata(std::vector<HeaderField>& fields, const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (!is_custom_metadata(key, value)) continue;
    fields.push_back({.name = key, .value = is_binary_key(key) ? base64_encode(value) : value});
  }
}

void RequestParser::add(std::string_view name, std::string_view value) {
  if (name == ":method") {
    http_method_ = value;
  } else if (name == ":path") {
    path_ = value;
  } else if (name == ":authority") {
    head_.authority = value;
  } else if (name == "content-type") {
    content_type_ = value;
  } else if (name == "grpc-timeout") {
    head_.timeout = parse_timeout(value);
    has_bad_timeout_ = !head_.timeout;
  } else if (name == "grpc-encoding") {
    encoding_ = value;
  } else if (name == "grpc-accept-encoding") {
    head_.accepts_gzip = lists(value, "gzip");
  } else if (name == "user-agent") {
    head_.user_agent = value;
  } else if (!add_metadata(head_.metadata, name, value)) {
    has_bad_metadata_ = true;
  }
}

std::optional<RequestParser::Refusal> RequestParser::judge() {
  if (http_method_ != "POST") {
    return Refusal{
        .http_status = 405, .grpc_status = grpc(Code::kInternal), .message = "gRPC calls are POST"};
  }
  if (!is_grpc_content_type(content_type_)) {
    return Refusal{.http_status = 415,
                   .grpc_status = grpc(Code::kInternal),
                   .message = "content-type is not application/grpc"};
  }
  if (has_bad_timeout_) {
    return Refusal{
        .http_status = 200, .grpc_status = grpc(Code::kInternal), .message = "grpc-timeout is malformed"};
  }
  if (has_bad_metadata_) {
    return Refusal{
        .http_status = 200, .grpc_status = grpc(Code::kInternal), .message = "binary metadata is not base64"};
  }
  head_.is_gzip = encoding_ == "gzip";
  if (!encoding_.empty() && encoding_ != "identity" && !head_.is_gzip) {
    return Refusal{.http_status = 200,
                   .grpc_status = grpc(Code::kUnimplemented),
                   .message = "grpc-encoding is not supported"};
  }
  if (path_.size() < 2 || path_.front() != '/') {
    return Refusal{
        .http_status = 200, .grpc_status = grpc(Code::kUnimplemented), .message = "the path names no method"};
  }
  head_.method = path_.substr(1);
  return std::nullopt;
}

std::vector<HeaderField> request_fields(const RequestHead& head) {
  std::vector<HeaderField> fields;
  fields.reserve(10 + head.metadata.size());
  fields.push_back({":method", "POST"});
  fields.push_back({":scheme", "https"});
  fields.push_back({":path", "/" + head.method});
  fields.push_back({":authority", head.authority.empty() ? "localhost" : head.authority});
  fields.push_back({"te", "trailers"});
  fields.push_back({"content-type", "application/grpc"});
  if (!head.user_agent.empty()) fields.push_back({"user-agent", head.user_agent});
  fields.push_back({"grpc-accept-encoding", "identity, gzip"});
  if (head.timeout) fields.push_back({"grpc-timeout", format_timeout(*head.timeout)});
  append_metadata(fields, head.metadata);
  return fields;
}

}  // namespace berth::rpc::core
