// A rule as the worker meets it: one 64-byte record for the usual rule, counters beside key and actions.
//
//   counters 16 | target 8 | table, port, flags 8 | key 8 * words | packed modifications | (age, meter)
//
// The record is immutable once published, except for its counters, which only the worker writes.
// LIFETIME: records come from SlabPool and go back to it only after a grace period (grace.h).
#pragma once

#include "dataplane/soft/action_list.h"
#include "dataplane/soft/field_vector.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace berth::soft {

class Group;
struct Encap;

// One writer (the worker), any readers. A reset keeps a base instead of writing (rule_book.h).
class PacketCounter {
 public:
  void add(std::uint64_t bytes) { add(1, bytes); }
  void add(std::uint64_t packets, std::uint64_t bytes) {
    packets_.store(packets_.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
    bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  }
  std::uint64_t packets() const { return packets_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> packets_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
};

struct alignas(64) Rule {
  PacketCounter counter;
  union Target {
    Group* group;        // Fate::kJump
    const Encap* encap;  // Fate::kPort, or null
  } target;
  std::uint32_t table;  // id of the table that holds the rule
  PortIndex port;       // Fate::kPort
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

  static constexpr std::size_t bytes_for(std::size_t words, std::size_t modify_bytes) {
    const std::size_t used = offsetof(Rule, payload) + words * 8 + modify_bytes;
    return (used + 63) / 64 * 64;
  }
  std::size_t size() const { return bytes_for(key_words, modify_bytes_); }
};
static_assert(sizeof(Rule) == 64);

inline constexpr std::size_t kMaxKeyWords = 15;
inline constexpr std::size_t kMaxModifyBytes = 255;
inline constexpr std::size_t kMaxRuleBytes = Rule::bytes_for(kMaxKeyWords, kMaxModifyBytes);

}  // namespace berth::soft
