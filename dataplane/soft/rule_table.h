// All rules of one group that share mask and priority: one exact-match hash table over masked words.
//
// Open addressing; a slot is 8 bytes: the rule's address and 17 bits of its hash, so that a miss rarely
// touches a rule. One writer; the worker reads at any time: slots are published with release, a deleted
// slot becomes a tombstone, and an outgrown array is retired through the grace period.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/grace.h"
#include "dataplane/soft/rule.h"
#include "dataplane/soft/word_hash.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <rte_prefetch.h>

namespace berth::soft {

// The words of a FieldVector that a mask has bits in.
struct MaskWords {
  std::uint8_t count = 0;
  std::array<std::uint8_t, kMaxKeyWords> index{};
  std::array<std::uint64_t, kMaxKeyWords> mask{};

  // False when the mask spans more words than a rule can hold (no pattern of the profile does).
  static bool from(const FieldVector& mask, MaskWords& out);
  bool is_match_all() const;  // at most source port and "is Ethernet"
  bool operator==(const MaskWords&) const = default;
};

using KeyWords = std::array<std::uint64_t, kMaxKeyWords>;

class RuleTable {
 public:
  RuleTable(std::uint32_t id, std::uint32_t group, std::uint32_t priority, const MaskWords& mask);
  ~RuleTable();
  RuleTable(const RuleTable&) = delete;
  RuleTable& operator=(const RuleTable&) = delete;

  std::uint32_t id() const { return id_; }
  std::uint32_t group() const { return group_; }
  std::uint32_t priority() const { return priority_; }
  const MaskWords& mask() const { return mask_; }
  std::uint32_t size() const { return used_; }
  bool is_match_all() const { return is_match_all_; }  // compares nothing but the source port
  // The port that the rule names as its source; kAnyPort when rules of this table name none.
  PortIndex source_of(const Rule& rule) const;
  // Whether some rule may match a packet of the port (kAnyPort: of any). Control side; costs one look.
  bool has_rule_of(PortIndex port) const;

  // Takes out of a packet, or of a pattern's key, what this table compares; returns its hash.
  std::uint64_t masked_key(const FieldVector& fields, KeyWords& key) const {
    const auto* bytes = reinterpret_cast<const std::byte*>(&fields);
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < mask_.count; ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + std::size_t{mask_.index[i]} * 8, 8);
      key[i] = word & mask_.mask[i];
      hash = mix_words(hash, key[i]);
    }
    return hash;
  }

  void prefetch(std::uint64_t hash) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    rte_prefetch0(&slots->slot[hash & slots->last]);
  }

  Rule* find(const KeyWords& key, std::uint64_t hash) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    for (std::uint64_t at = hash & slots->last;; at = (at + 1) & slots->last) {
      const std::uint64_t slot = slots->slot[at].load(std::memory_order_acquire);
      if (slot == kEmpty) return nullptr;
      if ((slot & kTagBits) != (hash & kTagBits) || slot == kTombstone) continue;
      Rule* rule = rule_in(slot);
      bool is_equal = true;
      for (std::size_t i = 0; i < mask_.count; ++i) is_equal = is_equal && rule->key()[i] == key[i];
      if (is_equal) return rule;
    }
  }

  // Control side. The key must not be in the table yet.
  void insert(Rule* rule, Grace& grace);
  void erase(const Rule* rule, Grace& grace);

  template <typename Visit>
  void for_each(Visit visit) const {
    const Slots* slots = slots_.load(std::memory_order_relaxed);
    for (std::uint64_t at = 0; at <= slots->last; ++at) {
      const std::uint64_t slot = slots->slot[at].load(std::memory_order_relaxed);
      if (slot != kEmpty && slot != kTombstone) visit(rule_in(slot));
    }
  }

  std::size_t memory_bytes() const;

 private:
  struct Slots {
    std::uint64_t last;  // count - 1, the count being a power of two
    std::atomic<std::uint64_t> slot[1];
  };

  static constexpr std::uint64_t kEmpty = 0;
  static constexpr std::uint64_t kTombstone = 1;
  static constexpr int kAddressBits = 47;  // of user space
  static constexpr std::uint64_t kTagBits = ~((std::uint64_t{1} << kAddressBits) - 1);
  static constexpr std::uint64_t kSmallest = 8;

  static Rule* rule_in(std::uint64_t slot) { return reinterpret_cast<Rule*>(slot & ~kTagBits); }
  static std::size_t bytes_for(std::uint64_t count) {
    return sizeof(Slots) + (count - 1) * sizeof(std::uint64_t);
  }
  static Slots* new_slots(std::uint64_t count);
  static void free_slots(void* context, void* slots, std::size_t bytes);
  static void put(Slots& slots, Rule* rule, std::uint64_t hash);
  std::uint64_t hash_of(const Rule& rule) const;
  void rebuild(Grace& grace);
  std::uint32_t& rules_of(PortIndex port);

  std::uint32_t id_;
  std::uint32_t group_;
  std::uint32_t priority_;
  std::uint32_t used_ = 0;  // rules
  std::uint32_t tombstones_ = 0;
  bool is_match_all_;
  std::size_t port_at_;                       // where the source port is in the key; mask_.count: nowhere
  std::vector<std::uint32_t> rules_of_port_;  // control side; by the port that they name
  std::atomic<Slots*> slots_;
  MaskWords mask_;
};

}  // namespace berth::soft
