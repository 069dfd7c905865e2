// What the HEADERS of a call say, free of HTTP/2: built from header fields by the server, turned into
// header fields by the client.
#pragma once

#include "rpc/metadata.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::rpc::core {

struct HeaderField {
  std::string name;
  std::string value;
};

struct RequestHead {
  std::string method;  // "pkg.Service/Method"
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  Metadata metadata = {};
  bool accepts_gzip = false;  // what the client can read
  bool is_gzip = false;       // what its compressed messages are
  // Client only.
  std::string authority = {};
  std::string user_agent = {};
};

// Collects the header fields of one request, as they come, and judges them when they are complete.
class RequestParser {
 public:
  // Pseudo-header fields first (nghttp2 has checked their order and number).
  void add(std::string_view name, std::string_view value);

  // What to answer instead of running the call.
  struct Refusal {
    int http_status;  // 200 for refusals in gRPC's own words
    int grpc_status;
    std::string message;
  };
  // nullopt: head() is a call.
  std::optional<Refusal> judge();
  RequestHead& head() { return head_; }

 private:
  RequestHead head_;
  std::string http_method_;
  std::string path_;
  std::string content_type_;
  std::string encoding_;
  bool has_bad_timeout_ = false;
  bool has_bad_metadata_ = false;
};

std::vector<HeaderField> request_fields(const RequestHead& head);

bool is_grpc_content_type(std::string_view content_type);
// False for keys that gRPC or HTTP/2 own, and for keys and values that no header may have.
bool is_custom_metadata(std::string_view key, std::string_view value);
// Adds one received custom field; false when a "-bin" value is not base64.
bool add_metadata(Metadata& metadata, std::string_view name, std::string_view value);
// Appends ours; keys that is_custom_metadata refuses are left out.
void append_metadata(std::vector<HeaderField>& fields, const Metadata& metadata);

}  // namespace berth::rpc::core
