// What the flow cache does in one instruction where the processor has it: hash a word, compare eight tags.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__SSE4_2__)  // DPDK's own minimum on x86
#include <nmmintrin.h>
#else
#include "dataplane/soft/word_hash.h"
#endif

namespace berth::soft {

struct alignas(16) Tags {
  std::array<std::uint16_t, 8> way;
};

// Two bits of 1 for every equal tag; the lowest two are the first tag's.
inline std::uint32_t equal_tags(const Tags& tags, std::uint16_t wanted) {
#if defined(__SSE4_2__)
  const __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(&tags));
  const __m128i equal = _mm_cmpeq_epi16(all, _mm_set1_epi16(static_cast<short>(wanted)));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(equal));
#else
  std::uint32_t equal = 0;
  for (std::size_t i = 0; i < tags.way.size(); ++i) equal |= (tags.way[i] == wanted ? 3U : 0U) << 2 * i;
  return equal;
#endif
}

// Goes on hashing with another word. 32 bits that are well mixed; a tenant who looks for collisions finds
// them, and makes its own flows slow (each is compared in full).
inline std::uint64_t hash_word(std::uint64_t hash, std::uint64_t word) {
#if defined(__SSE4_2__)
  return _mm_crc32_u64(hash, word);
#else
  return mix_words(hash, word) & 0xffffffff;
#endif
}

}  // namespace berth::soft
