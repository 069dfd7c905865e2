// The last changes of a port's rules, so that a flow that was cached before them can ask whether they concern
// it.
//
// One writer (the control side, under its mutex), one reader (the worker), no lock: a slot's number is
// cleared while it is written, and the reader looks at it before and after. A change that cannot be read any
// more concerns everybody.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/frame_class.h"
#include "dataplane/soft/rule_table.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace berth::soft {

class ChangeJournal {
 public:
  static constexpr std::uint64_t kDepth = 64;

  // A rule came or went: packets that may have to do with it are those with `packet & mask == key`, in as far
  // as `compared` lets its bits count. `number` grows by one a change, from 1 on.
  void record(std::uint64_t number, const MaskWords& mask, const std::uint64_t* key,
              const FieldWords& compared) {
    Slot& slot = slots_[number % kDepth];
    slot.number.store(0, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    std::uint32_t count = 0;
    std::uint32_t last = 0;
    std::uint32_t telling = 0;
    int most_bits = -1;
    for (std::size_t i = 0; i < mask.count; ++i) {
      const std::size_t word = mask.index[i];
      const std::uint64_t bits = mask.mask[i] & compared[word];
      if (bits == 0) continue;
      if (std::popcount(bits) > most_bits) {
        most_bits = std::popcount(bits);
        telling = count;
      }
      slot.words[count].index.store(static_cast<std::uint32_t>(word), std::memory_order_relaxed);
      slot.words[count].mask.store(bits, std::memory_order_relaxed);
      slot.words[count++].key.store(key[i] & bits, std::memory_order_relaxed);
      last = static_cast<std::uint32_t>(word);
    }
    slot.count.store(count, std::memory_order_relaxed);
    slot.last_word.store(last, std::memory_order_relaxed);
    slot.telling.store(telling, std::memory_order_relaxed);
    slot.number.store(number, std::memory_order_release);
  }

  // The same question as below, asked of a frame of the class by a single word of each change, which nearly
  // always is enough. False: it may concern the packet.
  bool all_spare(std::uint64_t after, std::uint64_t last, const std::uint8_t* frame, FrameClass of,
                 bool looks_inside) const {
    if (last - after > kDepth) return false;
    const bool has_inner = looks_inside && kFrameShapes[of].inner_presence != 0;
    for (std::uint64_t number = after + 1; number <= last; ++number) {
      const Slot& slot = slots_[number % kDepth];
      if (slot.number.load(std::memory_order_acquire) != number) return false;
      const Word& word = slot.words[slot.telling.load(std::memory_order_relaxed) % kMaxKeyWords];
      const std::uint32_t index = word.index.load(std::memory_order_relaxed);
      const std::uint64_t mask = word.mask.load(std::memory_order_relaxed);
      const std::uint64_t key = word.key.load(std::memory_order_relaxed);
      const bool is_empty = slot.count.load(std::memory_order_relaxed) == 0;
      std::atomic_thread_fence(std::memory_order_acquire);
      if (slot.number.load(std::memory_order_relaxed) != number || is_empty) return false;
      if (!differs(frame, of, index, mask, key)) return false;
      if (has_inner && index < kLayerWords && !differs(frame, of, index + kLayerWords, mask, key))
        return false;
    }
    return true;
  }

  // Whether changes `after` + 1 to `last` all leave a packet alone that arrived with these fields. Fields
  // behind a tunnel header count as outer ones, too: the change may be of a rule that sees them so.
  bool all_spare(std::uint64_t after, std::uint64_t last, const FieldWords& fields, bool has_inner) const {
    if (last - after > kDepth) return false;
    for (std::uint64_t number = after + 1; number <= last; ++number) {
      if (!spares(number, fields, has_inner)) return false;
    }
    return true;
  }

 private:
  static bool differs(const std::uint8_t* frame, FrameClass of, std::size_t index, std::uint64_t mask,
                      std::uint64_t key) {
    if (index >= 2 * kLayerWords) return false;
    const RawWord& raw = kRawWords[of][index];
    if ((mask & ~raw.known) != 0) return false;
    return (frame::load<std::uint64_t>(frame + raw.offset) & raw.keep & mask) != key;
  }

  struct Word {
    std::atomic<std::uint32_t> index = 0;
    std::atomic<std::uint64_t> mask = 0;
    std::atomic<std::uint64_t> key = 0;
  };
  struct Slot {
    std::atomic<std::uint64_t> number = 0;
    std::atomic<std::uint32_t> count = 0;
    std::atomic<std::uint32_t> last_word = 0;  // words stand in order
    std::atomic<std::uint32_t> telling = 0;    // which of the words has the most bits
    std::array<Word, kMaxKeyWords> words;
  };

  bool spares(std::uint64_t number, const FieldWords& fields, bool has_inner) const {
    const Slot& slot = slots_[number % kDepth];
    if (slot.number.load(std::memory_order_acquire) != number) return false;
    const bool hits = matches(slot, fields, 0) ||
                      (has_inner && slot.last_word.load(std::memory_order_relaxed) < kLayerWords &&
                       matches(slot, fields, kLayerWords));
    std::atomic_thread_fence(std::memory_order_acquire);
    return !hits && slot.number.load(std::memory_order_relaxed) == number;
  }

  static bool matches(const Slot& slot, const FieldWords& fields, std::size_t shift) {
    const std::uint32_t count = slot.count.load(std::memory_order_relaxed);
    std::uint64_t difference = 0;
    for (std::uint32_t i = 0; i < count && i < kMaxKeyWords; ++i) {
      const Word& word = slot.words[i];
      const std::size_t at = (word.index.load(std::memory_order_relaxed) + shift) % kFieldWords;
      difference |=
          (fields[at] & word.mask.load(std::memory_order_relaxed)) ^ word.key.load(std::memory_order_relaxed);
    }
    return difference == 0;
  }

  std::array<Slot, kDepth> slots_;
};

}  // namespace berth::soft
