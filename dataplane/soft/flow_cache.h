// Remembers, for packets alike in every field that matters, which rules they took.
//
// A hit replaces the walk through the groups by a list of the rules that do something: those that count,
// change the packet or end its way. Sets of four ways; a set's first line says which way may hold the flow,
// so a lookup touches that line and the one or two of the entry. An entry carries the stamp of its
// port's rules (cache_key.h), so a change of rules needs no search for what it affects. Worker only.
#pragma once

#include "dataplane/soft/cache_key.h"
#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/rule.h"
#include "dataplane/soft/rule_table.h"
#include "dataplane/soft/slab_pool.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rte_prefetch.h>

namespace berth::soft {

// The rules with an effect, in order. The last one ends the way, unless the packet missed.
struct FlowPath {
  static constexpr std::size_t kMaxRules = 6;
  std::uint8_t count = 0;
  bool is_miss = false;
  std::array<Rule*, kMaxRules> rules{};

  // False when the path gets too long to be remembered.
  bool append(Rule* rule) {
    if (count == kMaxRules) return false;
    rules[count++] = rule;
    return true;
  }
};

class FlowCache {
 public:
  explicit FlowCache(std::uint32_t flows);

  struct Lookup {
    std::uint64_t hash = 0;
    KeyWords key;
  };

  // Step 1: key and hash of a packet; starts loading its set.
  void prepare(const FieldVector& fields, const MaskWords& mask, Lookup& lookup) const {
    const auto* bytes = reinterpret_cast<const std::byte*>(&fields);
    std::uint64_t hash = fields.port;  // exactness comes from the stamp
    for (std::size_t i = 0; i < mask.count; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + std::size_t{mask.index[i]} * 8, 8);
      lookup.key[i] = word & mask.mask[i];
      hash = mix_words(hash, lookup.key[i]);
    }
    lookup.hash = hash;
    rte_prefetch0(&set_of(hash).ways);
  }

  // Step 2: starts loading the entry that may hold the flow. Null when no way does.
  const FlowPath* probe(const Lookup& lookup, std::size_t words, CacheStamp stamp) const {
    const Set& set = set_of(lookup.hash);
    for (std::size_t way = 0; way < kWays; ++way) {
      if (set.ways[way].tag == tag_of(lookup.hash) && set.ways[way].stamp == stamp) {
        const auto* entry = reinterpret_cast<const std::byte*>(&set.entries[way]);
        rte_prefetch0(entry);
        rte_prefetch0(entry + 64);
        if (offsetof(Entry, key) + words * 8 > 128) rte_prefetch0(entry + 128);
        return &set.entries[way].path;
      }
    }
    return nullptr;
  }

  // Step 3: whether it really does.
  static bool holds(const FlowPath& path, const Lookup& lookup, std::size_t words) {
    const Entry& entry = reinterpret_cast<const Entry&>(path);
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < words; ++i) difference |= entry.key[i] ^ lookup.key[i];
    return difference == 0;
  }

  void remember(const Lookup& lookup, std::size_t words, CacheStamp stamp, const FlowPath& path);

 private:
  static constexpr std::size_t kWays = 4;

  struct Way {
    std::uint64_t tag = 0;
    CacheStamp stamp = 0;
  };
  struct alignas(64) Entry {
    FlowPath path;  // first: a path's address is its entry's
    KeyWords key{};
  };
  static_assert(sizeof(Entry) == 192);
  struct alignas(64) Set {
    std::array<Way, kWays> ways;
    std::array<Entry, kWays> entries;
  };

  // The low bits choose the set; the tag keeps the rest apart, and is never 0.
  static std::uint64_t tag_of(std::uint64_t hash) { return hash | 1; }
  Set& set_of(std::uint64_t hash) const { return sets_[hash >> 1 & last_]; }

  Pages memory_;
  Set* sets_;
  std::uint64_t last_;  // number of sets - 1
  std::uint32_t next_victim_ = 0;
};

}  // namespace berth::soft
