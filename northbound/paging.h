// Lists in pages: how large they are, and where the next one begins. A token is the last item's id or
// revision.
#pragma once

#include "agent/operation.h"
#include "base/error.h"
#include "base/ids.h"

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

// Where a page of operations begins: after one that runs (nobody: with the first that runs), or among those
// that have ended.
struct OperationPlace {
  OperationId after_running;
  std::optional<std::uint64_t> below_revision;

  static std::string token_after(const agent::Operation& last) {
    return last.done ? std::to_string(last.revision) : last.id.str();
  }

  static Result<OperationPlace> parse(const std::string& token) {
    if (token.empty()) return OperationPlace();
    std::uint64_t revision = 0;
    const char* end = token.data() + token.size();
    const auto [rest, error] = std::from_chars(token.data(), end, revision);
    if (error == std::errc() && rest == end) return OperationPlace{{}, revision};
    auto id = OperationId::parse("page_token", token);
    if (!id) return malformed_page_token();
    return OperationPlace{*std::move(id), {}};
  }
};

}  // namespace berth::northbound
