// FNV-1a, 64 bits (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv): the same in every process and
// on every machine, unlike std::hash. No defence against anybody who chooses the bytes.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth {

// Two texts that differ in one byte never have the same.
constexpr std::uint64_t fnv1a_64(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace berth
