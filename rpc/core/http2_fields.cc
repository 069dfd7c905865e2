#include "rpc/core/http2_fields.h"

#include "rpc/core/header_codec.h"

#include <array>
#include <string_view>

namespace berth::rpc::core {
namespace {

nghttp2_nv field_of_bytes(std::string_view name, std::string_view value) {
  // LIFETIME: nghttp2 copies both before the submit call returns (but see literal_field), and never
  // writes through them.
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

// LIFETIME: nghttp2 keeps pointers to both.
nghttp2_nv literal_field(std::string_view name, std::string_view value) {
  auto field = field_of_bytes(name, value);
  field.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  return field;
}

}  // namespace

std::vector<nghttp2_nv> fields_of(const std::vector<HeaderField>& fields) {
  std::vector<nghttp2_nv> all;
  all.reserve(fields.size());
  for (const auto& field : fields) all.push_back(field_of_bytes(field.name, field.value));
  return all;
}

std::span<const nghttp2_nv> plain_head() {
  static const std::array kFields = {literal_field(":status", "200"),
                                     literal_field("content-type", "application/grpc")};
  return kFields;
}

std::span<const nghttp2_nv> plain_trailers() {
  static const std::array kFields = {literal_field("grpc-status", "0")};
  return kFields;
}

std::vector<HeaderField> response_fields(int http_status, const Metadata& initial) {
  std::vector<HeaderField> fields;
  fields.reserve(5 + initial.size());
  fields.push_back({":status", http_status == 200 ? "200" : std::to_string(http_status)});
  fields.push_back({"content-type", "application/grpc"});
  append_metadata(fields, initial);
  return fields;
}

void append_status(std::vector<HeaderField>& fields, const WireStatus& status) {
  fields.push_back({"grpc-status", std::to_string(status.code)});
  if (!status.message.empty()) fields.push_back({"grpc-message", percent_encode(status.message)});
  if (!status.details.empty()) fields.push_back({"grpc-status-details-bin", base64_encode(status.details)});
}

}  // namespace berth::rpc::core
