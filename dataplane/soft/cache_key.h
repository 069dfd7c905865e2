// Which bytes of a packet can matter at all, per source port and class of frame (frame_class.h).
//
// The flow cache compares packets by these bytes only, straight from the frame. They are the union of the
// masks of the port's rules and of those of every port, which never shrinks while the switch runs (a wider
// key is never wrong). A rule behind a decapsulation sees the
// inner headers as the outer ones; its mask counts for both.
#pragma once

#include "dataplane/soft/action_list.h"
#include "dataplane/soft/change_journal.h"
#include "dataplane/soft/field_vector.h"
#include "dataplane/soft/frame_class.h"
#include "dataplane/soft/grace.h"
#include "dataplane/soft/rule_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include <rte_config.h>

namespace berth::soft {

// Words to compare, at these offsets of the frame. The last block is filled up with words of mask 0.
struct KeyPlan {
  static constexpr std::size_t kBlock = 4;
  static constexpr std::size_t kMaxWords = 16;
  std::uint8_t blocks = 0;  // 0: packets of the class are not cached
  std::array<std::uint8_t, kMaxWords> offset{};
  std::array<std::uint64_t, kMaxWords> mask{};

  // Covers the mask's bytes by words inside the first `least` bytes.
  static KeyPlan covering(const RawMask& mask, std::size_t least);
};

struct PortPlans {
  std::array<KeyPlan, kFrameClasses> of_class;
  std::uint64_t since = 0;  // generation that they came with: flows cached before have other keys
};

class CacheKeys {
 public:
  // The port's part of a flow's identity is a byte; packets of ports beyond are not cached.
  static constexpr std::size_t kPorts = std::min(RTE_MAX_ETHPORTS, 256);

  CacheKeys();
  ~CacheKeys();
  CacheKeys(const CacheKeys&) = delete;
  CacheKeys& operator=(const CacheKeys&) = delete;

  struct View {
    const PortPlans* plans = nullptr;  // null: packets of the port are not cached now
    std::uint64_t generation = 0;      // counts the changes of rules
  };
  // Worker side, before rules are looked at, so that a change in between makes what was found old.
  View view(PortIndex port) const {
    if (port >= kPorts) return {};
    const std::uint64_t generation = generation_.load(std::memory_order_acquire);
    const PortPlans* plans = plans_[port].load(std::memory_order_acquire);
    // Plans that are newer than the generation would be compared with keys of older plans.
    if (plans == nullptr || generation < plans->since) return {};
    return {plans, generation};
  }
  // Starts loading what view() looks at, and the changes after `seen`: the control side may have written them
  // just now.
  void prefetch(std::uint64_t seen) const {
    rte_prefetch0(&generation_);
    journal_.prefetch_hint(seen + 1);
  }
  // Whether what was found at generation `then` still holds at `now` for a packet that arrived like this.
  bool still_holds(PortIndex port, std::uint64_t then, std::uint64_t now, const FieldVector& arrived) const {
    return journal_.all_spare(port, then, now, words_of(arrived),
                              port == kUplink && arrived.inner.presence != 0);
  }
  const ChangeJournal& journal() const { return journal_; }

  // Control side: after a rule of the port was added, or unlinked.
  void rule_added(PortIndex port, const FieldVector& mask, const MaskWords& words, const std::uint64_t* key,
                  std::span<const Modify> modifies, Grace& grace);
  void rule_removed(PortIndex port, const MaskWords& words, const std::uint64_t* key) {
    advance(port, words, key);
  }

 private:
  void unite(PortIndex port, const FieldWords& outside, const FieldWords& inside, Grace& grace);
  void publish_plans(PortIndex port, Grace& grace);
  void advance(PortIndex port, const MaskWords& words, const std::uint64_t* key);

  // What the worker reads for every burst lies apart from what the control side writes for every rule.
  alignas(64) std::array<std::atomic<const PortPlans*>, kPorts> plans_{};
  alignas(64) std::atomic<std::uint64_t> generation_ = 1;
  ChangeJournal journal_;
  // Control side: masks of all rules so far, by port.
  alignas(64) std::array<FieldWords, kPorts> united_{};
  // Of the rules of every port, what their masks ask of packets outside and inside a tunnel.
  FieldWords united_of_all_{};
  // Which bits say which packets a change concerns: those that no rule so far has written.
  FieldWords compared_;
};

}  // namespace berth::soft
