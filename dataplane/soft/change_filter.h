// What the worker keeps of the journal: when the bits that changes tell themselves by last changed, so that
// most cached flows learn by one look, however many changes there were, that none concerned them. And of the
// kind of change that comes most, which bits the flows in use have: a change of other bits is nothing to any
// of them, and they need not even look. Worker only.
#pragma once

#include "dataplane/soft/change_journal.h"
#include "dataplane/soft/frame_class.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

namespace berth::soft {

class ChangeFilter {
 public:
  // Takes note of the changes up to `last`.
  [[gnu::always_inline]] void catch_up(const ChangeJournal& journal, std::uint64_t last) {
    if (last != seen_) [[unlikely]]
      take_note(journal, last);
  }

  std::uint64_t seen() const { return seen_; }

  // No change since concerns any flow that was found, or asked, at this generation or later, and registered.
  std::uint64_t epoch() const { return epoch_; }

  // A flow is in use from now on; this is one of its frames.
  void register_flow(PortIndex port, const std::uint8_t* frame, FrameClass of) {
    const Shape& shape = shapes_[newest_];
    register_bits(shape, shape.word, frame, of);
    if (has_inner(port, of) && shape.word < kLayerWords)
      register_bits(shape, shape.word + kLayerWords, frame, of);
  }

  // True: none of the changes after `then`, as far as they were noted, concerns this frame of the class.
  // False: one may.
  [[gnu::always_inline]] bool spares(PortIndex port, std::uint64_t then, const std::uint8_t* frame,
                                     FrameClass of) const {
    // Changes come in series of one kind: mostly only those of the kind that changed last are newer.
    const RawBits& bits = newest_bits_[of];
    if (then < latest_of_others_ || port == kUplink || bits.mask == 0) [[unlikely]]
      return spares_of_all_kinds(port, then, frame, of);
    const std::uint64_t word = frame::load<std::uint64_t>(frame + bits.offset) & bits.mask;
    return shapes_[newest_].last_was_before(place(word), then);
  }

 private:
  static constexpr std::size_t kShapes = 8;
  static constexpr unsigned kPlaceBits = 16;
  static constexpr unsigned kChangedBits = 13;
  static constexpr std::size_t kTooMany = (1U << kPlaceBits) / 8;  // many changes would meet some flow's bits
  static constexpr std::uint64_t kAhead = 16;
  static constexpr std::uint64_t kFarthest = std::uint64_t{1} << 30;

  static std::size_t place(std::uint64_t bits) {
    return static_cast<std::size_t>(bits * 0x9e3779b97f4a7c15ULL >> (64 - kPlaceBits));
  }

  // Changes that tell themselves by the same bits of packets of the same port.
  struct Shape {
    PortIndex port = kAnyPort;
    std::uint32_t word = 0;
    std::uint64_t mask = 0;
    std::uint64_t latest = 0;
    // The last change of these bits, by their hash: the lower half of its number, since what is farther back
    // than kFarthest is below the floor.
    std::array<std::uint32_t, 1U << kChangedBits> changed{};

    std::uint32_t& last_of(std::size_t at) { return changed[at >> (kPlaceBits - kChangedBits)]; }
    bool last_was_before(std::size_t at, std::uint64_t then) const {
      return static_cast<std::int32_t>(changed[at >> (kPlaceBits - kChangedBits)] -
                                       static_cast<std::uint32_t>(then)) <= 0;
    }
  };

  // Where frames of a class have the bits that the newest shape tells itself by.
  struct RawBits {
    std::uint32_t offset = 0;
    std::uint64_t mask = 0;  // 0: not in one piece
  };

  // Only what comes from the wire can be decapsulated (HP-23).
  static bool has_inner(PortIndex port, FrameClass of) {
    return port == kUplink && kFrameShapes[of].inner_presence != 0;
  }

  void register_bits(const Shape& shape, std::size_t word, const std::uint8_t* frame, FrameClass of) {
    if (word >= 2 * kLayerWords || (shape.mask & ~kRawWords[of][word].known) != 0) {
      is_anything_in_use_ = true;
      return;
    }
    const RawWord& raw = kRawWords[of][word];
    const std::size_t at = place(frame::load<std::uint64_t>(frame + raw.offset) & raw.keep & shape.mask);
    in_use_count_ += in_use_[at] ? 0 : 1;
    in_use_[at] = true;
  }

  // From the change on every flow has to look, and to register again.
  void begin_epoch(std::uint64_t change) {
    epoch_ = change;
    if (in_use_count_ != 0) in_use_.reset();
    in_use_count_ = 0;
    is_anything_in_use_ = false;
  }

  static bool is_older(const Shape& shape, std::size_t word, std::uint64_t then, const std::uint8_t* frame,
                       FrameClass of) {
    if (word >= 2 * kLayerWords) return false;
    const RawWord& raw = kRawWords[of][word];
    if ((shape.mask & ~raw.known) != 0) return false;
    const std::uint64_t bits = frame::load<std::uint64_t>(frame + raw.offset) & raw.keep & shape.mask;
    return shape.last_was_before(place(bits), then);
  }

  static bool shape_spares(const Shape& shape, PortIndex port, std::uint64_t then, const std::uint8_t* frame,
                           FrameClass of) {
    if (shape.latest <= then || (shape.port != kAnyPort && shape.port != port)) return true;
    if (!is_older(shape, shape.word, then, frame, of)) return false;
    return !has_inner(port, of) || shape.word >= kLayerWords ||
           is_older(shape, shape.word + kLayerWords, then, frame, of);
  }

  [[gnu::noinline]] bool spares_of_all_kinds(PortIndex port, std::uint64_t then, const std::uint8_t* frame,
                                             FrameClass of) const {
    if (then < floor_) return false;
    for (std::size_t i = 0; i < shape_count_; ++i) {
      if (!shape_spares(shapes_[i], port, then, frame, of)) return false;
    }
    return true;
  }

  [[gnu::noinline]] void take_note(const ChangeJournal& journal, std::uint64_t last) {
    std::uint64_t number = seen_ + 1;
    if (last > ChangeJournal::kHints) number = std::max(number, last - ChangeJournal::kHints + 1);
    for (std::uint64_t ahead = number; ahead <= std::min(last, number + kAhead); ++ahead)
      journal.prefetch_hint(ahead);
    // What was not seen may have concerned anybody.
    if (number != seen_ + 1) epoch_ = floor_ = number - 1;
    for (; number <= last; ++number) {
      const auto hint = journal.hint(number);
      if (!hint) {
        epoch_ = floor_ = number;
        continue;
      }
      Shape& shape = shape_of(*hint);
      const std::size_t at = place(hint->key);
      shape.latest = number;
      shape.last_of(at) = static_cast<std::uint32_t>(number);
      if (&shape != &shapes_[newest_] || is_anything_in_use_ || in_use_[at]) epoch_ = number;
    }
    if (last > kFarthest) floor_ = std::max(floor_, last - kFarthest);
    seen_ = last;
    const std::size_t newest_before = newest_;
    find_newest();
    if (newest_ != newest_before || in_use_count_ > kTooMany) begin_epoch(last);
  }

  void find_newest() {
    std::size_t newest = 0;
    for (std::size_t i = 1; i < shape_count_; ++i) {
      if (shapes_[i].latest > shapes_[newest].latest) newest = i;
    }
    newest_ = newest;
    spread_newest();
    latest_of_others_ = floor_;
    for (std::size_t i = 0; i < shape_count_; ++i) {
      if (i != newest_) latest_of_others_ = std::max(latest_of_others_, shapes_[i].latest);
    }
  }

  void spread_newest() {
    const Shape& shape = shapes_[newest_];
    if (shape.word == spread_word_ && shape.mask == spread_mask_) return;
    spread_word_ = shape.word;
    spread_mask_ = shape.mask;
    for (std::size_t of = 0; of < kFrameClasses; ++of) {
      newest_bits_[of] = {};
      if (shape.word >= kLayerWords) continue;
      const RawWord& raw = kRawWords[of][shape.word];
      if ((shape.mask & ~raw.known) == 0) newest_bits_[of] = {raw.offset, raw.keep & shape.mask};
    }
  }

  Shape& shape_of(const ChangeHint& hint) {
    for (std::size_t i = 0; i < shape_count_; ++i) {
      Shape& shape = shapes_[i];
      if (shape.port == hint.port && shape.word == hint.word && shape.mask == hint.mask) return shape;
    }
    Shape* shape = nullptr;
    if (shape_count_ < kShapes) {
      shape = &shapes_[shape_count_++];
    } else {
      shape = &*std::ranges::min_element(shapes_, {}, &Shape::latest);
      floor_ = std::max(floor_, shape->latest);
    }
    shape->port = hint.port;
    shape->word = hint.word;
    shape->mask = hint.mask;
    shape->latest = 0;
    shape->changed.fill(0);
    return *shape;
  }

  std::uint64_t seen_ = 0;
  std::uint64_t floor_ = 0;  // what was found before this cannot be told
  std::size_t shape_count_ = 0;
  std::size_t newest_ = 0;              // the shape that changed last
  std::uint64_t latest_of_others_ = 0;  // the last change of any other shape, and the floor
  std::array<RawBits, kFrameClasses> newest_bits_;
  std::uint64_t epoch_ = 0;
  std::bitset<1U << kPlaceBits> in_use_;  // of the newest shape: bits that flows have, by their hash
  std::size_t in_use_count_ = 0;
  bool is_anything_in_use_ = false;
  std::uint32_t spread_word_ = 0;  // what these were made of
  std::uint64_t spread_mask_ = 0;
  std::array<Shape, kShapes> shapes_;
};

}  // namespace berth::soft
