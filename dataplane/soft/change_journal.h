// The last changes of the switch's rules, so that a flow that was cached before them can ask whether they
// concern it. Of many of them it has what tells most about each (a hint), of some all that a rule compares.
//
// One writer (the control side, under its mutex), one reader (the worker), no lock: a slot's number is
// cleared while it is written, and the reader looks at it before and after. A change that cannot be read any
// more concerns everybody.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/rule_table.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <rte_prefetch.h>

namespace berth::soft {

// Packets of `port` (kAnyPort: of all) that may have to do with a change have `word & mask == key` in a
// certain word of their fields, as outer ones or, behind a tunnel header, as inner ones. Mask 0: all of them.
struct ChangeHint {
  PortIndex port = kAnyPort;
  std::uint32_t word = 0;
  std::uint64_t mask = 0;
  std::uint64_t key = 0;
};

class ChangeJournal {
 public:
  static constexpr std::uint64_t kDepth = 64;
  static constexpr std::uint64_t kHints = 1024;

  // A rule came or went: packets that may have to do with it are those of `port` with `packet & mask == key`,
  // in as far as `compared` lets its bits count. `number` grows by one a change, from 1 on.
  void record(std::uint64_t number, PortIndex port, const MaskWords& mask, const std::uint64_t* key,
              const FieldWords& compared) {
    Slot& slot = slots_[number % kDepth];
    slot.number.store(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    std::uint32_t count = 0;
    ChangeHint hint{.port = port};
    for (std::size_t i = 0; i < mask.count; ++i) {
      const std::uint32_t index = mask.index[i];
      const std::uint64_t bits = mask.mask[i] & compared[index];
      if (bits == 0) continue;
      if (std::popcount(bits) > std::popcount(hint.mask)) hint = {port, index, bits, key[i] & bits};
      Word& word = slot.words[count++];
      word.index.store(index, std::memory_order_relaxed);
      word.mask.store(bits, std::memory_order_relaxed);
      word.key.store(key[i] & bits, std::memory_order_relaxed);
    }
    slot.count.store(count, std::memory_order_relaxed);
    slot.port.store(port, std::memory_order_relaxed);
    slot.number.store(number, std::memory_order_release);

    HintSlot& brief = hints_[number % kHints];
    brief.number.store(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    brief.place.store(std::uint64_t{hint.port} << 32 | hint.word, std::memory_order_relaxed);
    brief.mask.store(hint.mask, std::memory_order_relaxed);
    brief.key.store(hint.key, std::memory_order_relaxed);
    brief.number.store(number, std::memory_order_release);
  }

  // What tells most about a change, or nothing when it cannot be read any more.
  std::optional<ChangeHint> hint(std::uint64_t number) const {
    const HintSlot& slot = hints_[number % kHints];
    if (slot.number.load(std::memory_order_acquire) != number) return {};
    const std::uint64_t place = slot.place.load(std::memory_order_relaxed);
    const ChangeHint hint{.port = static_cast<PortIndex>(place >> 32),
                          .word = static_cast<std::uint32_t>(place),
                          .mask = slot.mask.load(std::memory_order_relaxed),
                          .key = slot.key.load(std::memory_order_relaxed)};
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.number.load(std::memory_order_relaxed) != number) return {};
    return hint;
  }
  // Starts loading it: another processor has written it just now.
  void prefetch_hint(std::uint64_t number) const { rte_prefetch0(&hints_[number % kHints]); }

  // Whether changes `after` + 1 to `last` all leave a packet of the port alone that arrived with these
  // fields. Fields behind a tunnel header count as outer ones, too: the change may be of a rule that sees
  // them so.
  bool all_spare(PortIndex port, std::uint64_t after, std::uint64_t last, const FieldWords& fields,
                 bool has_inner) const {
    if (last - after > kDepth) return false;
    for (std::uint64_t number = after + 1; number <= last; ++number) {
      if (!spares(port, number, fields, has_inner)) return false;
    }
    return true;
  }

 private:
  struct Word {
    std::atomic<std::uint32_t> index = 0;
    std::atomic<std::uint64_t> mask = 0;
    std::atomic<std::uint64_t> key = 0;
  };
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> number = 0;
    std::atomic<PortIndex> port = kAnyPort;
    std::atomic<std::uint32_t> count = 0;
    std::array<Word, kMaxKeyWords> words;
  };
  struct alignas(32) HintSlot {
    std::atomic<std::uint64_t> number = 0;
    std::atomic<std::uint64_t> place = 0;  // port 32 | word 32
    std::atomic<std::uint64_t> mask = 0;
    std::atomic<std::uint64_t> key = 0;
  };

  bool spares(PortIndex port, std::uint64_t number, const FieldWords& fields, bool has_inner) const {
    const Slot& slot = slots_[number % kDepth];
    if (slot.number.load(std::memory_order_acquire) != number) return false;
    const PortIndex of = slot.port.load(std::memory_order_relaxed);
    const bool hits = (of == kAnyPort || of == port) &&
                      (matches(slot, fields, 0) || (has_inner && matches(slot, fields, kLayerWords)));
    std::atomic_thread_fence(std::memory_order_acquire);
    return !hits && slot.number.load(std::memory_order_relaxed) == number;
  }

  // A change of a rule that looks behind a tunnel header itself cannot be of a layer further in.
  static bool matches(const Slot& slot, const FieldWords& fields, std::size_t shift) {
    const std::uint32_t count = slot.count.load(std::memory_order_relaxed);
    std::uint64_t difference = 0;
    for (std::uint32_t i = 0; i < count && i < kMaxKeyWords; ++i) {
      const Word& word = slot.words[i];
      const std::size_t at = word.index.load(std::memory_order_relaxed) + shift;
      if (at >= 2 * kLayerWords) return false;
      difference |=
          (fields[at] & word.mask.load(std::memory_order_relaxed)) ^ word.key.load(std::memory_order_relaxed);
    }
    return difference == 0;
  }

  std::array<Slot, kDepth> slots_;
  std::array<HintSlot, kHints> hints_;
};

}  // namespace berth::soft
