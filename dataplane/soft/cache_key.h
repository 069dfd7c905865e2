// Which fields of a packet can matter at all, per source port: the union of the masks of its rules.
//
// The flow cache compares packets by these fields only. The union never shrinks while the switch runs (a
// wider key is never wrong), and every rule names its source port, so ports do not widen each other's keys.
// A rule behind a decapsulation sees the inner headers as the outer ones; its mask counts for both.
#pragma once

#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/grace.h"
#include "dataplane/soft/rule_table.h"

#include <array>
#include <atomic>
#include <cstdint>

namespace berth::soft {

struct CacheMask {
  MaskWords words;
  std::uint16_t version = 0;  // unique for its port
};

// What must be equal for a cached flow to be valid: port, mask, and that no rule of the port changed since.
using CacheStamp = std::uint64_t;

class CacheKeys {
 public:
  static constexpr std::size_t kPorts = 256;  // ports beyond share slots, which only costs hits

  CacheKeys() = default;
  ~CacheKeys();
  CacheKeys(const CacheKeys&) = delete;
  CacheKeys& operator=(const CacheKeys&) = delete;

  // Worker side. Null as long as the port has no rule, or when its rules look at too much to be cached.
  const CacheMask* mask(PortIndex port) const {
    return slots_[port % kPorts].mask.load(std::memory_order_acquire);
  }
  // Taken before the rules are looked at, so that a change in between makes the stamp old.
  CacheStamp stamp(PortIndex port, const CacheMask& mask) const {
    const std::uint64_t generation = slots_[port % kPorts].generation.load(std::memory_order_acquire);
    return generation << 32 | std::uint64_t{port} << 16 | mask.version;
  }

  // Control side: after a rule of the port was added, or unlinked.
  void rule_added(PortIndex port, const FieldVector& mask, Grace& grace);
  void rule_removed(PortIndex port) { bump(slots_[port % kPorts]); }

 private:
  struct Slot {
    std::atomic<const CacheMask*> mask = nullptr;
    std::atomic<std::uint32_t> generation = 1;
    FieldWords united{};        // control side
    std::uint16_t version = 0;  // control side
  };
  static void bump(Slot& slot) { slot.generation.fetch_add(1, std::memory_order_release); }

  std::array<Slot, kPorts> slots_;
};

}  // namespace berth::soft
