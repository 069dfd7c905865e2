// A rule as the worker meets it: one 64-byte record for the usual rule, counters beside key and actions.
//
//   counters 16 | target 8 | table, port, flags 8 | key 8 * words | packed modifications | [RuleExtra]
//
// The record is immutable once published, except for its counters, which only the worker writes.
// LIFETIME: records come from SlabPool and go back to it only after a grace period (grace.h).
#pragma once

#include "dataplane/soft/counter.h"
#include "dataplane/soft/fate.h"
#include "dataplane/soft/field_vector.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::soft {

class Group;
class Meter;
struct Encap;
struct IndirectAction;

// What only some rules have: age, meter, counter shared through a handle.
struct RuleExtra {
  IndirectAction* shared_count = nullptr;
  IndirectAction* shared_meter = nullptr;
  Meter* meter = nullptr;       // by either way
  bool meter_drops_red = true;  // METER; METER_MARK only colours
  std::uint32_t meter_id = 0;   // METER
  std::uint64_t age_ticks = 0;  // TSC ticks; 0: no AGE
  void* age_context = nullptr;
  bool is_aged_reported = false;            // control side
  std::atomic<std::uint64_t> last_hit = 0;  // TSC; written by the worker
};

struct alignas(64) Rule {
  PacketCounter counter;
  union Target {
    Group* group;        // Fate::kJump
    const Encap* encap;  // Fate::kPort, or null
  } target;
  std::uint32_t table : 30;  // id of the table that holds the rule
  std::uint32_t has_extra : 1;
  std::uint32_t writes_packet : 1;  // some modification is of more than a tag
  PortIndex port;                   // Fate::kPort
  Fate fate : 2;
  bool decap : 1;
  bool count : 1;
  std::uint8_t key_words : 4;
  std::uint8_t modify_bytes_;
  std::uint64_t payload[4];  // the key's words, then the modifications; goes on past the end

  const std::uint64_t* key() const { return payload; }
  std::span<const std::uint8_t> modifies() const {
    return {reinterpret_cast<const std::uint8_t*>(payload + key_words), modify_bytes_};
  }

  // The six bytes that a mapping's usual modification sets; null when it is another, or none.
  const std::uint8_t* only_destination_mac() const;
  // The same, when it is known that it is so.
  const std::uint8_t* destination_mac() const {
    return reinterpret_cast<const std::uint8_t*>(payload + key_words) + 1;
  }

  // Only if has_extra.
  RuleExtra& extra() {
    return *reinterpret_cast<RuleExtra*>(reinterpret_cast<std::byte*>(this) +
                                         extra_offset(key_words, modify_bytes_));
  }
  const RuleExtra& extra() const { return const_cast<Rule*>(this)->extra(); }

  static constexpr std::size_t extra_offset(std::size_t words, std::size_t modify_bytes) {
    return (offsetof(Rule, payload) + words * 8 + modify_bytes + 7) / 8 * 8;
  }
  static constexpr std::size_t bytes_for(std::size_t words, std::size_t modify_bytes, bool has_extra) {
    const std::size_t used = extra_offset(words, modify_bytes) + (has_extra ? sizeof(RuleExtra) : 0);
    return (used + 63) / 64 * 64;
  }
  std::size_t size() const { return bytes_for(key_words, modify_bytes_, has_extra != 0); }
};
static_assert(sizeof(Rule) == 64);

inline constexpr std::size_t kMaxKeyWords = 15;
inline constexpr std::size_t kMaxModifyBytes = 255;
inline constexpr std::size_t kMaxRuleBytes = Rule::bytes_for(kMaxKeyWords, kMaxModifyBytes, true);

}  // namespace berth::soft
