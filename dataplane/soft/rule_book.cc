#include "dataplane/soft/rule_book.h"

#include "dataplane/soft/rewrite.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

#include <rte_cycles.h>

namespace berth::soft {
namespace {

// kAnyPort when the source port is not matched.
PortIndex source_of(const FieldVector& key, const FieldVector& mask) {
  return mask.port == 0 ? kAnyPort : key.port;
}

std::unexpected<RuleError> exhausted(const char* message) {
  return refuse(ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, message);
}

}  // namespace

RuleBook::RuleBook(const PoolSizes& sizes, Handles handles)
    : sizes_(sizes), handles_(handles), encaps_(sizes.encaps, grace_) {
  auto root = std::make_unique<Group>(0);
  root->references = 1;  // stays
  root_ = root.get();
  groups_.emplace(0, std::move(root));
}

RuleBook::~RuleBook() {
  flush();
  grace_.synchronize();
}

RuleResult<Group*> RuleBook::group_for(std::uint32_t id) {
  const auto found = groups_.find(id);
  if (found != groups_.end()) return found->second.get();
  if (groups_.size() > sizes_.groups) return exhausted("no group is left (HP-40)");
  return groups_.emplace(id, std::make_unique<Group>(id)).first->second.get();
}

void RuleBook::release(Group* group) {
  if (--group->references != 0) return;
  const auto found = groups_.find(group->id());
  Group* unused = found->second.release();
  groups_.erase(found);
  grace_.retire([](void*, void* object, std::size_t) { delete static_cast<Group*>(object); }, nullptr, unused,
                0);
}

RuleResult<RuleTable*> RuleBook::table_for(Group& group, std::uint32_t priority, const MaskWords& mask) {
  if (RuleTable* table = group.table(priority, mask); table != nullptr) return table;
  if (free_tables_.empty()) {
    free_tables_.push_back(static_cast<std::uint32_t>(tables_.size()));
    tables_.push_back(nullptr);
  }
  const std::uint32_t id = free_tables_.back();
  auto table = std::make_unique<RuleTable>(id, group.id(), priority, mask);
  tables_[id] = table.get();
  free_tables_.pop_back();
  RuleTable* added = table.get();
  group.add(std::move(table), grace_);
  return added;
}

// HP-04: of one port, a match-all rule must come after every specific one.
RuleResult<void> RuleBook::check_hidden(const Group& group, std::uint32_t priority, const Match& match,
                                        const MaskWords& mask) const {
  const bool matches_all = mask.is_match_all();
  for (const RuleTable* table : group.tables()) {
    if (matches_all == table->is_match_all()) continue;
    const bool is_hidden = matches_all ? table->priority() >= priority : table->priority() <= priority;
    if (is_hidden && table->has_rule_of(source_of(match.key, match.mask))) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_PRIORITY,
                    "a match-all rule needs a larger priority number than the specific ones (HP-04)");
    }
  }
  return {};
}

Rule* RuleBook::new_rule(const MaskWords& mask, const KeyWords& key, const ActionList& actions) {
  void* memory = slab_.allocate(Rule::bytes_for(mask.count, packed_.size(), actions.needs_extra()));
  auto* rule = new (memory) Rule{};
  rule->fate = actions.fate;
  rule->port = actions.port;
  rule->decap = actions.decap;
  rule->count = actions.count;
  rule->key_words = mask.count & 0xf;
  rule->modify_bytes_ = static_cast<std::uint8_t>(packed_.size());
  auto* payload = static_cast<std::byte*>(memory) + offsetof(Rule, payload);
  std::memcpy(payload, key.data(), mask.count * sizeof(std::uint64_t));
  rule->has_extra = actions.needs_extra() ? 1 : 0;
  rule->writes_packet =
      std::ranges::any_of(actions.modifies,
                          [](const Modify& modify) { return modify.field != ModifyField::kTag; })
          ? 1
          : 0;
  if (!packed_.empty())
    std::memcpy(payload + mask.count * sizeof(std::uint64_t), packed_.data(), packed_.size());
  return rule;
}

RuleResult<Rule*> RuleBook::create(std::uint32_t group_id, std::uint32_t priority, const Match& match,
                                   const ActionList& actions, PortIndex made_on) {
  const std::lock_guard lock(mutex_);
  grace_.reclaim();
  if (rules_ >= sizes_.rules) return exhausted("no rule is left (HP-40)");
  if (actions.count && counters_ >= sizes_.counters) return exhausted("cannot create counter (HP-40)");
  MaskWords mask;
  if (!MaskWords::from(match.mask, mask)) {
    return refuse(E2BIG, RTE_FLOW_ERROR_TYPE_ITEM_NUM, "the pattern exceeds the match definer (HP-16)");
  }

  packed_.clear();
  for (const Modify& modify : actions.modifies) append_modify(modify, packed_);
  if (packed_.size() > kMaxModifyBytes) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, "too many header modify actions to support (HP-25)");
  }

  KeyWords key{};
  const auto existing = groups_.find(group_id);
  if (existing != groups_.end()) {
    if (const RuleTable* table = existing->second->table(priority, mask); table != nullptr) {
      const std::uint64_t hash = table->masked_key(match.key, key);
      if (table->find(key, hash) != nullptr) {
        return refuse(EEXIST, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "duplicating pattern is not allowed (HP-05)");
      }
    }
    if (RuleResult<void> seen = check_hidden(*existing->second, priority, match, mask); !seen) {
      return std::unexpected(seen.error());
    }
  }

  // From here on every failure gives back what was taken; the order is that of the release.
  RuleResult<Group*> group = group_for(group_id);
  if (!group) return std::unexpected(group.error());
  ++(*group)->references;
  const auto give_back_group = [&] { release(*group); };

  Rule::Target target{.encap = nullptr};
  if (actions.fate == Fate::kJump) {
    RuleResult<Group*> jump = group_for(actions.jump_group);
    if (!jump) {
      give_back_group();
      return std::unexpected(jump.error());
    }
    target = {.group = *jump};
    ++target.group->references;
    if (!jumps_.add(group_id, actions.jump_group)) {
      release(target.group);
      give_back_group();
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, "more than 6 jumps in a row (HP-03)");
    }
  } else if (actions.encap) {
    target.encap = encaps_.acquire(*actions.encap);
    if (target.encap == nullptr) {
      give_back_group();
      return exhausted("no encapsulation is left (HP-40)");
    }
  }

  RuleResult<RuleTable*> table = table_for(**group, priority, mask);
  (*table)->masked_key(match.key, key);
  Rule* rule = new_rule(mask, key, actions);
  rule->target = target;
  rule->table = (*table)->id() & 0x3fffffffU;
  if (actions.needs_extra()) bind_extra(rule, actions);
  if (handles_ == Handles::kMayBeStale) made_on_.emplace(rule, made_on);
  (*table)->insert(rule, grace_);
  cache_keys_.rule_added(source_of(match.key, match.mask), match.mask, mask, key.data(), actions.modifies,
                         grace_);
  ++rules_;
  counters_ += actions.count ? 1 : 0;
  return rule;
}

bool RuleBook::is_stale(const Rule* rule) const {
  return handles_ == Handles::kMayBeStale && !made_on_.contains(const_cast<Rule*>(rule));
}

void RuleBook::destroy(Rule* rule) {
  const std::lock_guard lock(mutex_);
  if (is_stale(rule)) return;
  destroy_locked(rule);
  grace_.reclaim();
}

void RuleBook::flush_of(PortIndex made_on) {
  const std::lock_guard lock(mutex_);
  std::vector<Rule*> own;
  for (const auto& [rule, port] : made_on_) {
    if (port == made_on) own.push_back(rule);
  }
  for (Rule* rule : own) destroy_locked(rule);
  grace_.reclaim();
}

void RuleBook::destroy_locked(Rule* rule) {
  made_on_.erase(rule);
  RuleTable* table = tables_[rule->table];
  Group* group = groups_.at(table->group()).get();
  const PortIndex port = table->source_of(*rule);
  table->erase(rule, grace_);
  cache_keys_.rule_removed(port, table->mask(), rule->key());
  if (table->size() == 0) {
    tables_[table->id()] = nullptr;
    free_tables_.push_back(table->id());
    group->remove(table, grace_);
  }
  if (rule->fate == Fate::kJump) {
    jumps_.remove(group->id(), rule->target.group->id());
    release(rule->target.group);
  } else if (rule->fate == Fate::kPort && rule->target.encap != nullptr) {
    encaps_.release(rule->target.encap);
  }
  if (rule->count) {
    --counters_;
    counter_bases_.erase(rule);
  }
  if (rule->has_extra != 0) unbind_extra(rule);
  --rules_;
  release(group);
  grace_.retire(
      [](void* slab, void* object, std::size_t size) { static_cast<SlabPool*>(slab)->free(object, size); },
      &slab_, rule, rule->size());
}

void RuleBook::flush() {
  const std::lock_guard lock(mutex_);
  std::vector<Rule*> all;
  for (const RuleTable* table : tables_) {
    if (table != nullptr) table->for_each([&](Rule* rule) { all.push_back(rule); });
  }
  for (Rule* rule : all) destroy_locked(rule);
  grace_.reclaim();
}

RuleResult<CounterValue> RuleBook::query(const Rule* rule, bool reset) {
  const std::lock_guard lock(mutex_);
  if (is_stale(rule)) return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, "the rule does not exist");
  if (!rule->count) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "flow does not have counter");
  }
  CounterValue value{rule->counter.packets(), rule->counter.bytes()};
  const CounterValue now = value;
  if (const auto base = counter_bases_.find(rule); base != counter_bases_.end()) {
    value.packets -= base->second.packets;
    value.bytes -= base->second.bytes;
  }
  if (reset) counter_bases_[rule] = now;
  return value;
}

RuleView RuleBook::view_of(const RuleTable& table, const Rule& rule) const {
  RuleView view;
  view.group = table.group();
  view.priority = table.priority();
  FieldWords key{};
  FieldWords mask{};
  for (std::size_t i = 0; i < table.mask().count; ++i) {
    key[table.mask().index[i]] = rule.key()[i];
    mask[table.mask().index[i]] = table.mask().mask[i];
  }
  view.match = {std::bit_cast<FieldVector>(key), std::bit_cast<FieldVector>(mask)};
  view.actions.decap = rule.decap;
  view.actions.count = rule.count;
  view.actions.fate = rule.fate;
  view.actions.port = rule.port;
  if (rule.fate == Fate::kJump) view.actions.jump_group = rule.target.group->id();
  if (rule.fate == Fate::kPort && rule.target.encap != nullptr)
    view.actions.encap = rule.target.encap->header;
  view.actions.modifies = unpack_modifies(rule.modifies());
  if (rule.has_extra != 0) {
    const RuleExtra& extra = rule.extra();
    view.actions.shared_count = extra.shared_count;
    view.actions.shared_meter = extra.shared_meter;
    if (extra.meter != nullptr && extra.shared_meter == nullptr) view.actions.meter_id = extra.meter_id;
    view.actions.age_seconds = static_cast<std::uint32_t>(extra.age_ticks / rte_get_tsc_hz());
  }
  view.counter = {rule.counter.packets(), rule.counter.bytes()};
  return view;
}

void RuleBook::view(const Rule* only, const std::function<void(const RuleView&)>& visit) {
  const std::lock_guard lock(mutex_);
  if (only != nullptr && is_stale(only)) return;
  if (only != nullptr) return visit(view_of(*tables_[only->table], *only));
  std::vector<const Group*> ordered;
  for (const auto& [id, group] : groups_) ordered.push_back(group.get());
  std::ranges::sort(ordered, {}, &Group::id);
  for (const Group* group : ordered) {
    for (const RuleTable* table : group->tables()) {
      table->for_each([&](const Rule* rule) { visit(view_of(*table, *rule)); });
    }
  }
}

void RuleBook::retire(void (*free)(void*, void*, std::size_t), void* object) {
  const std::lock_guard lock(mutex_);
  grace_.retire(free, nullptr, object, 0);
  grace_.reclaim();
}

void RuleBook::wait_for_worker() {
  const std::lock_guard lock(mutex_);
  grace_.synchronize();
}

std::uint32_t RuleBook::rule_count() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

std::size_t RuleBook::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = slab_.reserved_bytes();
  for (const RuleTable* table : tables_) bytes += table != nullptr ? table->memory_bytes() : 0;
  return bytes;
}

}  // namespace berth::soft
