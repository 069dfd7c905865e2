// Header fields as nghttp2 wants them, and those that every reply has.
#pragma once

#include "rpc/core/request_head.h"
#include "rpc/core/status_codec.h"

#include <span>
#include <vector>

#include <nghttp2/nghttp2.h>

namespace berth::rpc::core {

// LIFETIME: points into `fields`.
std::vector<nghttp2_nv> fields_of(const std::vector<HeaderField>& fields);

std::vector<HeaderField> response_fields(int http_status, const Metadata& initial);
void append_status(std::vector<HeaderField>& fields, const WireStatus& status);

// What nearly every good reply begins and ends with, ready made; nghttp2 does not copy it.
std::span<const nghttp2_nv> plain_head();
std::span<const nghttp2_nv> plain_trailers();

}  // namespace berth::rpc::core
