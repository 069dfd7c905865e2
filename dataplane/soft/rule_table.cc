#include "dataplane/soft/rule_table.h"

#include "dataplane/soft/slab_pool.h"

#include <algorithm>
#include <bit>
#include <new>

namespace berth::soft {
namespace {

constexpr std::size_t kPagesFrom = std::size_t{256} << 10;  // larger slot arrays come from whole pages
constexpr std::align_val_t kLine{64};

// Every rule that names a port matches all of its bits.
std::uint64_t word_of(PortIndex port) {
  FieldVector fields{};
  fields.port = port;
  return words_of(fields)[offsetof(FieldVector, port) / 8];
}

std::size_t place_of_port(const MaskWords& mask) {
  for (std::size_t i = 0; i < mask.count; ++i) {
    if (mask.index[i] == offsetof(FieldVector, port) / 8 && (mask.mask[i] & word_of(0xffff)) != 0) return i;
  }
  return mask.count;
}

}  // namespace

bool MaskWords::from(const FieldVector& mask, MaskWords& out) {
  out = {};
  const FieldWords words = words_of(mask);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == 0) continue;
    if (out.count == kMaxKeyWords) return false;
    out.index[out.count] = static_cast<std::uint8_t>(i);
    out.mask[out.count++] = words[i];
  }
  return true;
}

bool MaskWords::is_match_all() const {
  FieldVector widest{};
  widest.port = 0xffff;
  widest.outer.presence = kHasEthernet;
  const FieldWords allowed = words_of(widest);
  for (std::size_t i = 0; i < count; ++i) {
    if ((mask[i] & ~allowed[index[i]]) != 0) return false;
  }
  return true;
}

RuleTable::RuleTable(std::uint32_t id, std::uint32_t group, std::uint32_t priority, const MaskWords& mask)
    : id_(id),
      group_(group),
      priority_(priority),
      is_match_all_(mask.is_match_all()),
      port_at_(place_of_port(mask)),
      slots_(new_slots(kSmallest)),
      mask_(mask) {}

RuleTable::~RuleTable() {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  free_slots(nullptr, slots, bytes_for(slots->last + 1));
}

RuleTable::Slots* RuleTable::new_slots(std::uint64_t count) {
  const std::size_t bytes = bytes_for(count);
  void* memory = bytes >= kPagesFrom ? allocate_pages(bytes).release() : ::operator new(bytes, kLine);
  auto* slots = new (memory) Slots{.last = count - 1, .slot = {}};
  for (std::uint64_t i = 1; i < count; ++i) new (&slots->slot[i]) std::atomic<std::uint64_t>(kEmpty);
  return slots;
}

void RuleTable::free_slots(void* /*context*/, void* slots, std::size_t bytes) {
  if (bytes >= kPagesFrom) {
    PageDeleter{bytes}(static_cast<std::byte*>(slots));
  } else {
    ::operator delete(slots, kLine);
  }
}

PortIndex RuleTable::source_of(const Rule& rule) const {
  if (port_at_ == mask_.count) return kAnyPort;
  FieldWords words{};
  words[offsetof(FieldVector, port) / 8] = rule.key()[port_at_];
  return std::bit_cast<FieldVector>(words).port;
}

bool RuleTable::has_rule_of(PortIndex port) const {
  if (port == kAnyPort || port_at_ == mask_.count) return used_ != 0;
  return port < rules_of_port_.size() && rules_of_port_[port] != 0;
}

std::uint32_t& RuleTable::rules_of(PortIndex port) {
  if (port >= rules_of_port_.size()) rules_of_port_.resize(std::size_t{port} + 1);
  return rules_of_port_[port];
}

std::uint64_t RuleTable::hash_of(const Rule& rule) const {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < mask_.count; ++i) hash = mix_words(hash, rule.key()[i]);
  return hash;
}

void RuleTable::put(Slots& slots, Rule* rule, std::uint64_t hash) {
  std::uint64_t at = hash & slots.last;
  while (slots.slot[at].load(std::memory_order_relaxed) > kTombstone) at = (at + 1) & slots.last;
  const std::uint64_t slot = reinterpret_cast<std::uint64_t>(rule) | (hash & kTagBits);
  slots.slot[at].store(slot, std::memory_order_release);
}

void RuleTable::insert(Rule* rule, Grace& grace) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  // At most 5/8 full, tombstones included, so that a search stays short.
  if ((used_ + tombstones_ + 1) * 8ULL > (slots->last + 1) * 5) {
    rebuild(grace);
    slots = slots_.load(std::memory_order_relaxed);
  }
  // A tombstone may be reused: the count of them is then too high, which only rebuilds a bit early.
  put(*slots, rule, hash_of(*rule));
  ++used_;
  if (const PortIndex port = source_of(*rule); port != kAnyPort) ++rules_of(port);
}

void RuleTable::erase(const Rule* rule, Grace& grace) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  std::uint64_t at = hash_of(*rule) & slots->last;
  while (rule_in(slots->slot[at].load(std::memory_order_relaxed)) != rule) at = (at + 1) & slots->last;
  const bool is_chain_end = slots->slot[(at + 1) & slots->last].load(std::memory_order_relaxed) == kEmpty;
  slots->slot[at].store(is_chain_end ? kEmpty : kTombstone, std::memory_order_release);
  if (!is_chain_end) ++tombstones_;
  --used_;
  if (const PortIndex port = source_of(*rule); port != kAnyPort) --rules_of(port);
  if (slots->last + 1 > kSmallest && used_ * 8ULL < slots->last + 1) rebuild(grace);
}

void RuleTable::rebuild(Grace& grace) {
  Slots* old = slots_.load(std::memory_order_relaxed);
  // Half full at most after the rebuild: room for as many rules again before the next one.
  const std::uint64_t count = std::max<std::uint64_t>(kSmallest, std::bit_ceil((used_ + 1) * 2ULL));
  Slots* fresh = new_slots(count);
  constexpr std::uint64_t kAhead = 8;
  for (std::uint64_t at = 0; at <= old->last; ++at) {
    rte_prefetch0(rule_in(old->slot[(at + kAhead) & old->last].load(std::memory_order_relaxed)));
    const std::uint64_t slot = old->slot[at].load(std::memory_order_relaxed);
    if (slot > kTombstone) put(*fresh, rule_in(slot), hash_of(*rule_in(slot)));
  }
  slots_.store(fresh, std::memory_order_release);
  tombstones_ = 0;
  grace.retire(&free_slots, nullptr, old, bytes_for(old->last + 1));
}

std::size_t RuleTable::memory_bytes() const {
  return sizeof(RuleTable) + bytes_for(slots_.load(std::memory_order_relaxed)->last + 1);
}

}  // namespace berth::soft
