// What the worker keeps of the journal: when the bits that changes tell themselves by last changed, so that
// most cached flows learn by one look, however many changes there were, that none concerned them. Worker
// only.
#pragma once

#include "dataplane/soft/change_journal.h"
#include "dataplane/soft/frame_class.h"

#include <algorithm>
#include <array>
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

  // True: none of the changes after `then`, as far as they were noted, concerns this frame of the class.
  // False: one may.
  bool spares(PortIndex port, std::uint64_t then, const std::uint8_t* frame, FrameClass of) const {
    if (then < floor_) return false;
    // Only what comes from the wire can be decapsulated (HP-23).
    const bool has_inner = port == kUplink && kFrameShapes[of].inner_presence != 0;
    for (std::size_t i = 0; i < shape_count_; ++i) {
      const Shape& shape = shapes_[i];
      if (shape.latest <= then || (shape.port != kAnyPort && shape.port != port)) continue;
      if (!is_older(shape, shape.word, then, frame, of)) return false;
      if (has_inner && shape.word < kLayerWords &&
          !is_older(shape, shape.word + kLayerWords, then, frame, of)) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr std::size_t kShapes = 8;
  static constexpr unsigned kPlaceBits = 10;

  // Changes that tell themselves by the same bits of packets of the same port.
  struct Shape {
    PortIndex port = kAnyPort;
    std::uint32_t word = 0;
    std::uint64_t mask = 0;
    std::uint64_t latest = 0;
    std::array<std::uint64_t, 1U << kPlaceBits> changed{};  // the last change of these bits, by their hash
  };

  static std::size_t place(std::uint64_t bits) {
    return static_cast<std::size_t>(bits * 0x9e3779b97f4a7c15ULL >> (64 - kPlaceBits));
  }

  static bool is_older(const Shape& shape, std::size_t word, std::uint64_t then, const std::uint8_t* frame,
                       FrameClass of) {
    if (word >= 2 * kLayerWords) return false;
    const RawWord& raw = kRawWords[of][word];
    if ((shape.mask & ~raw.known) != 0) return false;
    const std::uint64_t bits = frame::load<std::uint64_t>(frame + raw.offset) & raw.keep & shape.mask;
    return shape.changed[place(bits)] <= then;
  }

  void take_note(const ChangeJournal& journal, std::uint64_t last) {
    std::uint64_t number = seen_ + 1;
    if (last > ChangeJournal::kDepth) number = std::max(number, last - ChangeJournal::kDepth + 1);
    // What was not seen may have concerned anybody.
    if (number != seen_ + 1) floor_ = number - 1;
    for (; number <= last; ++number) {
      const auto hint = journal.hint(number);
      if (!hint) {
        floor_ = number;
        continue;
      }
      Shape& shape = shape_of(*hint);
      shape.latest = number;
      shape.changed[place(hint->key)] = number;
    }
    seen_ = last;
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
    *shape = {.port = hint.port, .word = hint.word, .mask = hint.mask};
    return *shape;
  }

  std::uint64_t seen_ = 0;
  std::uint64_t floor_ = 0;  // what was found before this cannot be told
  std::size_t shape_count_ = 0;
  std::array<Shape, kShapes> shapes_;
};

}  // namespace berth::soft
