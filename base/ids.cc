#include "base/ids.h"

#include <algorithm>

namespace berth {
namespace {

constexpr std::size_t kMaxIdSize = 63;

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

Result<std::string> parse_id_text(std::string_view field, std::string_view text) {
  if (text.empty()) return fail_field(std::string(field), "MALFORMED_ID", "must not be empty");
  if (text.size() > kMaxIdSize) {
    return fail_field(std::string(field), "MALFORMED_ID",
                      fmt::format("has {} characters, {} are allowed", text.size(), kMaxIdSize));
  }
  const bool well_formed = is_alnum(text.front()) && std::ranges::all_of(text, [](char c) {
                             return is_alnum(c) || c == '.' || c == '_' || c == '-';
                           });
  if (!well_formed) {
    return fail_field(std::string(field), "MALFORMED_ID",
                      "must be letters, digits, '.', '_' or '-', starting with a letter or digit");
  }
  return std::string(text);
}

Result<Vni> Vni::parse(std::string_view field, std::uint64_t value) {
  if (value == 0 || value > kMax) {
    return fail_field(std::string(field), "MALFORMED_VNI",
                      fmt::format("{} is not a VNI: 1 to {} are", value, kMax));
  }
  return Vni(static_cast<std::uint32_t>(value));
}

}  // namespace berth
