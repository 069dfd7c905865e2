// Numbers as sysfs writes them.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace berth::host {

// The whole text is one number of this base, which may say "0x" when it is 16; none otherwise.
template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  if (base == 16 && text.starts_with("0x")) text.remove_prefix(2);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace berth::host
