// Lists in pages: how large they are, and where the next one begins. A token is the last item's id or
// revision.
#pragma once

#include "base/error.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace berth::northbound {

constexpr std::size_t kMaxPageSize = 1000;

inline std::size_t page_size(std::uint32_t asked) {
  return asked == 0 || asked > kMaxPageSize ? kMaxPageSize : asked;
}

inline std::unexpected<Error> malformed_page_token() {
  return fail_field("page_token", "MALFORMED_PAGE_TOKEN", "it is not one that this agent has made");
}

// The id after which the page begins; the empty one: from the start.
template <typename Id>
Result<Id> parse_page_token(const std::string& token) {
  if (token.empty()) return Id();
  auto id = Id::parse("page_token", token);
  if (!id) return malformed_page_token();
  return id;
}

// The revision below which the page begins; none: with the latest.
inline Result<std::optional<std::uint64_t>> parse_revision_token(const std::string& token) {
  if (token.empty()) return std::optional<std::uint64_t>();
  std::uint64_t revision = 0;
  const char* end = token.data() + token.size();
  const auto [rest, error] = std::from_chars(token.data(), end, revision);
  if (error != std::errc() || rest != end) return malformed_page_token();
  return std::optional(revision);
}

}  // namespace berth::northbound
