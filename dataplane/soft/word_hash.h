// Hash of 64-bit words: one 64x64 multiplication a word, folded. Fast and portable; not for adversaries,
// tables that an attacker could fill hold keys that only the control plane chooses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::soft {

inline std::uint64_t mix_words(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xe7037ed1a0b428dbULL);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace berth::soft
