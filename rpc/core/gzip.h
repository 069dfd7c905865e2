// gzip of single gRPC messages. Inflating stops at a limit, so a small message cannot become a huge one.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::rpc::core {

// INTERNAL when the bytes are not gzip, RESOURCE_EXHAUSTED beyond `limit` bytes.
Result<std::string> gunzip(std::string_view compressed, std::size_t limit);
std::string gzip(std::string_view plain);

}  // namespace berth::rpc::core
