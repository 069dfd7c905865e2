// The rules of one DPDK eSwitch: what is held, what it counts, and how one is replaced without a gap.
// Single-threaded, like Engine.
#pragma once

#include "base/error.h"
#include "dataplane/dpdk/steering.h"
#include "dataplane/eswitch.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace berth::dataplane::dpdk {

class RuleHolder {
 public:
  explicit RuleHolder(std::unique_ptr<Steering> steering) : steering_(std::move(steering)) {}

  // As Eswitch::apply().
  Result<void> apply(const RuleChange& change);
  // Counters come from the device; HARDWARE_REJECTED when it does not know a rule any more.
  Result<std::vector<HeldRule>> read(const RuleFilter& which) const;
  // As Eswitch::read_digests(). Costs a walk over all rules, and the device nothing.
  std::vector<RuleDigest> digests() const;
  // Destroys all, whatever the device says to it.
  void clear();

 private:
  struct Count {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };
  struct Held {
    Rule rule;
    InstalledRule installed;
    // Which of the two device priorities of its own it has: the replacement takes the other one, so that
    // both can stand while packets move over (HP-05, HP-43).
    std::uint32_t slot = 0;
    // Of its count, what is not told (DiscountRule), and what those of this key have counted that it has
    // replaced.
    Count discount;
    Count former;
  };
  struct ByKey {
    bool operator()(const Held* a, const Held* b) const { return a->rule.key < b->rule.key; }
  };

  Result<void> add(const Rule& rule);
  Result<void> replace(Held& held, const Rule& rule);
  Result<void> remove(const RuleKey& key);
  void discount(const DiscountRule& discount);
  Result<std::vector<HeldRule>> read_keys(std::vector<RuleKey> keys) const;
  Result<HeldRule> read_one(const Held& held) const;
  void index(const Held& held);
  void unindex(const Held& held);

  std::unique_ptr<Steering> steering_;
  std::map<RuleKey, Held> held_;
  // Of the functions' rules, which are few each; those of the uplink are most of held_.
  std::map<EswitchPort, std::set<const Held*, ByKey>> by_function_;
};

}  // namespace berth::dataplane::dpdk
