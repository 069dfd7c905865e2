// Remembers, for packets alike in every byte that matters, which rules they took.
//
// A hit replaces the walk through the groups by a list of the rules that do something: those that count,
// change the packet or end its way. Sets of eight ways: 16 bits of hash a way say where the flow may be,
// eight ways in 16 bytes, so that this index stays in the processor's cache and a lookup loads the flow's own
// one or two lines. Only so many sets are in use as flows have needed so far, so that the flows of a host
// with few lie close together: it is the translation of addresses that random places in much memory cost. A
// flow says which generation of its port's rules it was found in (cache_key.h), so a change of rules needs no
// search for what it affects. Worker only.
#pragma once

#include "dataplane/soft/cache_key.h"
#include "dataplane/soft/cache_simd.h"
#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/frame_class.h"
#include "dataplane/soft/rule.h"
#include "dataplane/soft/slab_pool.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <tuple>

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

// One remembered flow: what most flows need of it is in its first line.
struct alignas(64) Flow {
  static constexpr std::size_t kFirstRules = 2;

  // generation 40 | port 8 | class 5 | flags 8 | count 3
  std::uint64_t head = 0;
  Rule* last = nullptr;
  std::array<Rule*, kFirstRules> first{};  // of those before the last; null where there are fewer
  std::array<std::uint64_t, KeyPlan::kMaxWords> key{};
  std::array<Rule*, FlowPath::kMaxRules - kFirstRules - 1> others{};

  static constexpr std::uint64_t kCountBits = 0x7;
  static constexpr std::uint64_t kIsMiss = 0x8;
  // Neither ages nor meters, all rules but the last one count, and the packet is written to by the last rule
  // only, or not at all behind a decapsulation: all packets of a burst can be handled together.
  static constexpr std::uint64_t kIsSimple = 0x10;
  static constexpr std::uint64_t kDecaps = 0x20;
  static constexpr std::uint64_t kWrites = 0x40;
  // Simple; all rules are in the first line and count, and the last one sets the MAC and encapsulates.
  static constexpr std::uint64_t kIsMapping = 0x80;
  static constexpr int kClassShift = 11;
  static constexpr int kPortShift = 16;
  static constexpr int kGenerationShift = 24;
  static_assert(kFrameClasses <= 1 << (kPortShift - kClassShift));
  static_assert(CacheKeys::kPorts <= 1 << (kGenerationShift - kPortShift));

  static std::uint64_t stamp(std::uint64_t generation, FrameClass of, PortIndex port) {
    return generation << kGenerationShift | std::uint64_t{port} << kPortShift |
           std::uint64_t{of} << kClassShift;
  }
  static PortIndex port_of(std::uint64_t stamp) { return stamp >> kPortShift & 0xff; }
  bool is_since(std::uint64_t generation) const { return head >= generation << kGenerationShift; }
  // The same class and port, whatever the generation.
  bool is_akin(std::uint64_t stamp) const {
    return ((head ^ stamp) >> kClassShift & ((1U << (kGenerationShift - kClassShift)) - 1)) == 0;
  }
  std::uint64_t generation() const { return head >> kGenerationShift; }
  void restamp(std::uint64_t stamp) { head = stamp | (head & ((1U << kClassShift) - 1)); }

  bool has(std::uint64_t flag) const { return (head & flag) != 0; }
  std::size_t count() const { return head & kCountBits; }
  // Of those before the last one.
  Rule* rule(std::size_t i) const { return i < kFirstRules ? first[i] : others[i - kFirstRules]; }
};
static_assert(sizeof(Flow) == 192);

class FlowCache {
 public:
  explicit FlowCache(std::uint32_t flows);

  struct alignas(64) Lookup {
    Flow* flow = nullptr;  // what may be the flow, then what is
    std::uint64_t hash = 0;
    FrameClass of = kUnusual;
    std::uint8_t blocks = 0;  // 0: not to be cached
    std::array<std::uint64_t, KeyPlan::kMaxWords> key;
  };

  // Where flows lie. Small enough to be at hand in registers while a burst is looked up.
  struct Places {
    Tags* index = nullptr;
    Flow* flows = nullptr;
    std::uint64_t last = 0;  // sets in use - 1, at most 16 bits: the tag is the hash's other half

    // Step 1: key and hash of a frame of the class; starts loading the index.
    [[gnu::always_inline]] void prepare(const std::uint8_t* data, const KeyPlan& plan, FrameClass of,
                                        Lookup& lookup) const {
      lookup.of = of;
      lookup.blocks = plan.blocks;
      std::uint64_t hash = of;
      hash = add_block(data, plan, 0, hash, lookup);
      for (std::size_t block = 1; block < plan.blocks; ++block) {
        hash = add_block(data, plan, block * KeyPlan::kBlock, hash, lookup);
      }
      lookup.hash = hash;
      rte_prefetch0(&index[hash & last]);
    }

    // Step 2: starts loading the flow that it may be.
    [[gnu::always_inline]] void probe(Lookup& lookup) const {
      const std::uint64_t set = lookup.hash & last;
      const std::uint32_t ways = equal_tags(index[set], tag_of(lookup.hash));
      if (ways == 0) [[unlikely]] {
        lookup.flow = nullptr;
        return;
      }
      Flow* flow = &flows[set * kWays + first_of(ways)];
      lookup.flow = flow;
      const auto* lines = reinterpret_cast<const std::byte*>(flow);
      rte_prefetch0(lines);
      if (lookup.blocks > 1) rte_prefetch0(lines + 64);
      if (lookup.blocks > 3) rte_prefetch0(lines + 128);
    }
  };
  Places places() const { return places_; }

  // Step 3: whether it is, as of any generation. A frame that is not to be cached is no flow: no stamp is of
  // its class.
  [[gnu::always_inline]] static bool is_known(const Lookup& lookup, std::uint64_t stamp) {
    return lookup.flow != nullptr && lookup.flow->is_akin(stamp) && has_key(*lookup.flow, lookup);
  }
  // The same of the places that the flow may have besides; then `lookup` has it.
  bool find_other(Lookup& lookup, std::uint64_t stamp) const;

  void remember(Lookup& lookup, std::uint64_t stamp, const FlowPath& path);

 private:
  static constexpr std::size_t kWays = std::tuple_size_v<decltype(Tags::way)>;
  using Tag = std::uint16_t;  // 0: nothing there

  static Tag tag_of(std::uint64_t hash) { return static_cast<Tag>(hash >> 16 | 1); }
  static unsigned first_of(std::uint32_t ways) { return static_cast<unsigned>(std::countr_zero(ways)) / 2; }

  static std::uint64_t add_block(const std::uint8_t* data, const KeyPlan& plan, std::size_t at,
                                 std::uint64_t hash, Lookup& lookup) {
    for (std::size_t i = 0; i < KeyPlan::kBlock; ++i) {
      const std::uint64_t word = frame::load<std::uint64_t>(data + plan.offset[at + i]) & plan.mask[at + i];
      lookup.key[at + i] = word;
      hash = hash_word(hash, word);
    }
    return hash;
  }

  static std::uint64_t difference(const Flow& flow, const Lookup& lookup, std::size_t at) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < KeyPlan::kBlock; ++i) bits |= flow.key[at + i] ^ lookup.key[at + i];
    return bits;
  }
  static bool has_key(const Flow& flow, const Lookup& lookup) {
    std::uint64_t bits = difference(flow, lookup, 0);
    if (lookup.blocks == 1) return bits == 0;
    for (std::size_t block = 1; block < lookup.blocks; ++block) {
      bits |= difference(flow, lookup, block * KeyPlan::kBlock);
    }
    return bits == 0;
  }
  std::size_t victim(Lookup& lookup, std::uint64_t stamp);
  void grow();

  Pages index_memory_;
  Pages flow_memory_;
  Places places_;
  std::uint64_t most_sets_;
  std::uint64_t crowded_ = 0;  // flows that had to go for another since the cache has grown
  std::uint32_t next_victim_ = 0;
};

}  // namespace berth::soft
