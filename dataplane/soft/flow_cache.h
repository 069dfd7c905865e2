// Remembers, for packets alike in every byte that matters, which rules they took.
//
// A hit replaces the walk through the groups by a list of the rules that do something: those that count,
// change the packet or end its way. Sets of eight ways: 16 bits of hash a way say where the flow may be,
// eight ways in 16 bytes, so that this index stays in the processor's cache and a lookup loads the flow's own
// one or two lines. A flow says which generation of its port's rules it was found in (cache_key.h), so a
// change of rules needs no search for what it affects. Worker only.
#pragma once

#include "dataplane/soft/cache_key.h"
#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/frame_class.h"
#include "dataplane/soft/rule.h"
#include "dataplane/soft/slab_pool.h"
#include "dataplane/soft/tag_match.h"
#include "dataplane/soft/word_hash.h"

#include <array>
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
  static constexpr std::size_t kRulesInFront = 3;

  // generation 40 | class 8 | port 8 | is_miss, is_simple, decaps, writes | count 4
  std::uint64_t head = 0;
  std::array<Rule*, kRulesInFront> front{};
  std::array<std::uint64_t, KeyPlan::kMaxWords> key{};
  std::array<Rule*, FlowPath::kMaxRules - kRulesInFront> back{};

  static constexpr std::uint64_t kCountBits = 0xf;
  static constexpr std::uint64_t kIsMiss = 0x80;
  // Neither ages nor meters, and the packet is written to by the last rule only, or not at all behind a
  // decap: all packets of a burst can be handled together.
  static constexpr std::uint64_t kIsSimple = 0x40;
  static constexpr std::uint64_t kDecaps = 0x20;
  static constexpr std::uint64_t kWrites = 0x10;
  static constexpr int kGenerationShift = 24;

  static std::uint64_t stamp(std::uint64_t generation, FrameClass of, PortIndex port) {
    return generation << kGenerationShift | std::uint64_t{of} << 16 | std::uint64_t{port} << 8;
  }
  bool is_stamped(std::uint64_t stamp) const { return (head ^ stamp) < 0x100; }
  // The same class and port, whatever the generation.
  bool is_akin(std::uint64_t stamp) const { return ((head ^ stamp) & 0xffff00) == 0 && head != 0; }
  std::uint64_t generation() const { return head >> kGenerationShift; }
  void restamp(std::uint64_t stamp) { head = stamp | (head & 0xff); }

  bool has(std::uint64_t flag) const { return (head & flag) != 0; }
  std::size_t count() const { return head & kCountBits; }
  Rule* rule(std::size_t i) const { return i < kRulesInFront ? front[i] : back[i - kRulesInFront]; }
};
static_assert(sizeof(Flow) == 192);

class FlowCache {
 public:
  explicit FlowCache(std::uint32_t flows);

  struct alignas(64) Lookup {
    Flow* flow = nullptr;  // what was found
    std::uint64_t hash = 0;
    std::uint32_t ways = 0;  // that may hold the flow: two bits of 1 each
    FrameClass of = kUnusual;
    std::uint8_t blocks = 0;  // 0: not to be cached
    std::array<std::uint64_t, KeyPlan::kMaxWords> key;
  };

  // Step 1: key and hash of a frame of the class; starts loading the index.
  void prepare(const std::uint8_t* data, const KeyPlan& plan, FrameClass of, Lookup& lookup) const {
    lookup.flow = nullptr;
    lookup.of = of;
    lookup.blocks = plan.blocks;
    std::uint64_t hash = seed_ + of;
    for (std::size_t at = 0; at < std::size_t{plan.blocks} * KeyPlan::kBlock; at += KeyPlan::kBlock) {
      std::array<std::uint64_t, KeyPlan::kBlock> word;
      for (std::size_t i = 0; i < KeyPlan::kBlock; ++i) {
        word[i] = frame::load<std::uint64_t>(data + plan.offset[at + i]) & plan.mask[at + i];
        lookup.key[at + i] = word[i];
      }
      // Two multiplications that need not wait for each other, and one that ties them to the blocks before.
      hash = mix_words(mix_words(word[0], word[1] ^ seed_) ^ hash, mix_words(word[2] ^ seed_, word[3]));
    }
    lookup.hash = hash;
    rte_prefetch0(&index_[set_of(hash)]);
  }

  // Step 2: starts loading the flow that it may be.
  void probe(Lookup& lookup) const {
    lookup.ways = equal_tags(index_[set_of(lookup.hash)], tag_of(lookup.hash));
    if (lookup.ways == 0) return;
    const auto* flow = reinterpret_cast<const std::byte*>(&flow_at(lookup));
    rte_prefetch0(flow);
    if (lookup.blocks > 1) rte_prefetch0(flow + 64);
    if (lookup.blocks > 3) rte_prefetch0(flow + 128);
  }

  enum class Found : std::uint8_t { kNone, kStale, kFresh };

  // Step 3: whether it is. kStale: the flow as it was in an earlier generation. Sets `lookup.flow`.
  Found find(Lookup& lookup, std::uint64_t stamp) const {
    for (; lookup.ways != 0; lookup.ways &= lookup.ways - 1, lookup.ways &= lookup.ways - 1) {
      Flow& flow = flow_at(lookup);
      if (!flow.is_akin(stamp) || !has_key(flow, lookup)) continue;
      lookup.flow = &flow;
      return flow.is_stamped(stamp) ? Found::kFresh : Found::kStale;
    }
    return Found::kNone;
  }

  void remember(const Lookup& lookup, std::uint64_t stamp, const FlowPath& path);

 private:
  static constexpr std::size_t kWays = std::tuple_size_v<decltype(Tags::way)>;
  using Tag = std::uint16_t;  // 0: nothing there

  static Tag tag_of(std::uint64_t hash) {
    const auto tag = static_cast<Tag>(hash >> 48);
    return tag == 0 ? Tag{1} : tag;
  }
  std::size_t set_of(std::uint64_t hash) const { return hash & last_; }
  Flow& flow_at(const Lookup& lookup) const {
    const auto way = static_cast<unsigned>(__builtin_ctz(lookup.ways)) / 2;
    return flows_[set_of(lookup.hash) * kWays + way];
  }
  static bool has_key(const Flow& flow, const Lookup& lookup) {
    std::uint64_t difference = 0;
    for (std::size_t at = 0; at < std::size_t{lookup.blocks} * KeyPlan::kBlock; at += KeyPlan::kBlock) {
      for (std::size_t i = 0; i < KeyPlan::kBlock; ++i) difference |= flow.key[at + i] ^ lookup.key[at + i];
    }
    return difference == 0;
  }
  std::size_t victim(const Lookup& lookup, std::uint64_t stamp);

  Pages index_memory_;
  Pages flow_memory_;
  Tags* index_;
  Flow* flows_;
  std::uint64_t last_;  // number of sets - 1
  std::uint64_t seed_;  // so that nobody can choose flows that meet in a set
  std::uint32_t next_victim_ = 0;
};

}  // namespace berth::soft
