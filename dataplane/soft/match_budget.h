// HP-16: what a pattern costs of the match definer of the NIC, which has a few 4-byte selectors and a
// few single-byte ones. Addresses (MAC ones take two), ports, VNI and tags need the first kind; the small
// fields (types, protocol, TTL, flags) the second.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::soft {

class MatchBudget {
 public:
  void add_dwords(std::uint32_t count) { dwords_ += count; }
  void add_bytes(std::uint32_t count) { bytes_ += count; }

  // A header field by its mask; `as_dword` for the short fields that live in a 4-byte selector.
  void add_field(std::span<const std::uint8_t> mask, bool as_dword) {
    const auto is_used = [](std::uint8_t byte) { return byte != 0; };
    if (mask.size() <= 2 && !as_dword) {
      bytes_ += static_cast<std::uint32_t>(std::ranges::count_if(mask, is_used));
      return;
    }
    for (std::size_t at = 0; at < mask.size(); at += 4) {
      const auto dword = mask.subspan(at, std::min<std::size_t>(4, mask.size() - at));
      if (std::ranges::any_of(dword, is_used)) ++dwords_;
    }
  }

  // Bytes that find no byte selector use up dword selectors.
  bool fits(std::uint32_t dword_limit, std::uint32_t byte_limit) const {
    const std::uint32_t overflow = bytes_ > byte_limit ? (bytes_ - byte_limit + 3) / 4 : 0;
    return dwords_ + overflow <= dword_limit;
  }

 private:
  std::uint32_t dwords_ = 0;
  std::uint32_t bytes_ = 0;
};

}  // namespace berth::soft
