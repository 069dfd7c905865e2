// The control side of the switch: creates, destroys and reads rules while the worker forwards.
//
// Holds the pools (rules, counters, groups, encapsulations), which never grow: an exhausted one is
// ENOMEM, as on the NIC (HP-40). All calls may come from any thread; they take turns on one mutex. The
// worker takes no lock: it enters through `root()` inside a Grace::WorkerSection.
#pragma once

#include "dataplane/soft/action_list.h"
#include "dataplane/soft/cache_key.h"
#include "dataplane/soft/encap_pool.h"
#include "dataplane/soft/grace.h"
#include "dataplane/soft/group.h"
#include "dataplane/soft/jump_graph.h"
#include "dataplane/soft/match.h"
#include "dataplane/soft/rule.h"
#include "dataplane/soft/rule_error.h"
#include "dataplane/soft/slab_pool.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace berth::soft {

struct PoolSizes {
  std::uint32_t rules = 1U << 21;
  std::uint32_t counters = 1U << 21;
  std::uint32_t groups = 1024;
  std::uint32_t encaps = 1U << 16;
  std::uint32_t meters = 4096;
};

// A rule as dumps show it.
struct RuleView {
  std::uint32_t group = 0;
  std::uint32_t priority = 0;
  Match match;
  ActionList actions;
  CounterValue counter;
};

// Whether callers may come with a rule that is gone: those whose rules go when the port that they were made
// on stops. Telling such handles apart costs some memory a rule.
enum class Handles : std::uint8_t { kLive, kMayBeStale };

class RuleBook {
 public:
  explicit RuleBook(const PoolSizes& sizes, Handles handles = Handles::kLive);
  ~RuleBook();
  RuleBook(const RuleBook&) = delete;
  RuleBook& operator=(const RuleBook&) = delete;

  // The rule is in effect for the worker's next burst when this returns.
  // EEXIST: same group, priority and pattern (HP-05). ENOMEM: a pool is exhausted (HP-40).
  // EINVAL: a chain of jumps gets too long (HP-03), or a match-all rule would hide a specific one (HP-04).
  RuleResult<Rule*> create(std::uint32_t group, std::uint32_t priority, const Match& match,
                           const ActionList& actions, PortIndex made_on = kUplink);

  // LIFETIME: `rule` is invalid from here on; the worker's current burst may still use it.
  // Destroying a rule that is gone does nothing (Handles::kMayBeStale).
  void destroy(Rule* rule);
  void flush();
  // The rules made on one port (Handles::kMayBeStale).
  void flush_of(PortIndex made_on);

  // EINVAL when the rule has no COUNT, or is gone.
  RuleResult<CounterValue> query(const Rule* rule, bool reset);
  static CounterValue read(IndirectAction& shared, bool reset);

  // Seconds since a rule with AGE was last hit; EINVAL when it has none.
  RuleResult<std::uint32_t> seconds_idle(const Rule* rule);
  bool is_aged(const Rule* rule);
  // Contexts of rules that were idle for their timeout: each is told once, again after another hit.
  // With no room given, only says how many there are.
  std::uint32_t take_aged(std::span<void*> contexts);

  // Whether a rule refers to it; while none does, none can come to without the caller's doing.
  bool is_used(const Meter& meter) const;
  bool is_used(const IndirectAction& shared) const;
  // Frees an object of the worker's when the worker has left it.
  void retire(void (*free)(void*, void*, std::size_t), void* object);

  // All rules, or one; by group, then in the order of matching.
  void view(const Rule* only, const std::function<void(const RuleView&)>& visit);

  std::uint32_t rule_count() const;
  std::size_t memory_bytes() const;

  // Returns when the worker is out of the iteration that it may be in.
  void wait_for_worker();

  const Group& root() const { return *root_; }
  const CacheKeys& cache_keys() const { return cache_keys_; }
  Grace& grace() { return grace_; }

 private:
  RuleResult<Group*> group_for(std::uint32_t id);
  void release(Group* group);
  RuleResult<RuleTable*> table_for(Group& group, std::uint32_t priority, const MaskWords& mask);
  RuleResult<void> check_hidden(const Group& group, std::uint32_t priority, const Match& match,
                                const MaskWords& mask) const;
  Rule* new_rule(const MaskWords& mask, const KeyWords& key, const ActionList& actions);
  void destroy_locked(Rule* rule);
  void bind_extra(Rule* rule, const ActionList& actions);
  void unbind_extra(Rule* rule);
  RuleView view_of(const RuleTable& table, const Rule& rule) const;
  bool is_stale(const Rule* rule) const;

  const PoolSizes sizes_;
  const Handles handles_;
  mutable std::mutex mutex_;
  Grace grace_;
  SlabPool slab_;
  EncapPool encaps_;
  JumpGraph jumps_;
  CacheKeys cache_keys_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Group>> groups_;
  Group* root_ = nullptr;
  std::vector<RuleTable*> tables_;  // by id; null when free
  std::vector<std::uint32_t> free_tables_;
  std::unordered_map<const Rule*, CounterValue> counter_bases_;  // of counters that were reset
  std::unordered_map<Rule*, PortIndex> made_on_;                 // all rules, if handles may be stale
  std::unordered_set<Rule*> aging_;                              // rules with AGE
  std::vector<std::uint8_t> packed_;                             // scratch for modifications
  std::uint32_t rules_ = 0;
  std::uint32_t counters_ = 0;
};

}  // namespace berth::soft
