// W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/): the caller's trace goes with its
// request to the completion. Berth makes no spans of its own.
#pragma once

#include "rpc/metadata.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace berth::northbound {

// "00-<32 hex>-<16 hex>-<2 hex>", lower case, ids not zero. A later version may go on behind that (section
// 3.2.4).
inline bool is_traceparent(std::string_view text) {
  constexpr std::string_view kShape = "vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff";
  constexpr std::size_t kMaxBytes = 128;
  if (text.size() < kShape.size() || text.size() > kMaxBytes) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool is_hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (kShape[i] == '-' ? text[i] != '-' : !is_hex) return false;
  }
  const auto is_zero = [&](std::size_t at, std::size_t size) {
    return std::ranges::all_of(text.substr(at, size), [](char digit) { return digit == '0'; });
  };
  const std::string_view version = text.substr(0, 2);
  const bool may_go_on = version != "00" && text.size() > kShape.size() && text[kShape.size()] == '-';
  return version != "ff" && !is_zero(3, 32) && !is_zero(36, 16) &&
         (text.size() == kShape.size() || may_go_on);
}

// The call's, or nothing: a malformed one, or several, must be ignored (section 3.2.1).
inline std::string traceparent_of(const rpc::Metadata& metadata) {
  const auto [first, last] = metadata.equal_range("traceparent");
  if (first == last || std::next(first) != last || !is_traceparent(first->second)) return {};
  return first->second;
}

}  // namespace berth::northbound
