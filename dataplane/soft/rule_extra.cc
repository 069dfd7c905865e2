// What only some rules have: ages, meters and counters shared through handles (RuleBook's rarer half).
#include "dataplane/soft/rule_book.h"

#include <cerrno>
#include <new>

#include <rte_cycles.h>

namespace berth::soft {

void RuleBook::bind_extra(Rule* rule, const ActionList& actions) {
  auto* extra = new (&rule->extra()) RuleExtra{};
  extra->shared_count = actions.shared_count;
  extra->shared_meter = actions.shared_meter;
  extra->meter = actions.shared_meter != nullptr ? actions.shared_meter->meter.get() : actions.meter;
  extra->meter_drops_red = actions.shared_meter == nullptr;
  extra->meter_id = actions.meter_id.value_or(0);
  for (IndirectAction* shared : {extra->shared_count, extra->shared_meter}) {
    if (shared != nullptr) ++shared->references;
  }
  if (extra->meter != nullptr) ++extra->meter->references;
  if (actions.age_seconds != 0) {
    extra->age_ticks = actions.age_seconds * rte_get_tsc_hz();
    extra->age_context = actions.age_context != nullptr ? actions.age_context : rule;
    extra->last_hit.store(rte_rdtsc(), std::memory_order_relaxed);
    aging_.insert(rule);
  }
}

void RuleBook::unbind_extra(Rule* rule) {
  const RuleExtra& extra = rule->extra();
  for (IndirectAction* shared : {extra.shared_count, extra.shared_meter}) {
    if (shared != nullptr) --shared->references;
  }
  if (extra.meter != nullptr) --extra.meter->references;
  if (extra.age_ticks != 0) aging_.erase(rule);
}

bool RuleBook::is_used(const Meter& meter) const {
  const std::lock_guard lock(mutex_);
  return meter.references != 0;
}

bool RuleBook::is_used(const IndirectAction& shared) const {
  const std::lock_guard lock(mutex_);
  return shared.references != 0;
}

CounterValue RuleBook::read(IndirectAction& shared, bool reset) {
  const CounterValue now = shared.counter.value();
  const CounterValue base = shared.counter_base;
  if (reset) shared.counter_base = now;
  return {now.packets - base.packets, now.bytes - base.bytes};
}

RuleResult<std::uint32_t> RuleBook::seconds_idle(const Rule* rule) {
  const std::lock_guard lock(mutex_);
  if (is_stale(rule) || rule->has_extra == 0 || rule->extra().age_ticks == 0) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "age data not available");
  }
  const std::uint64_t idle = rte_rdtsc() - rule->extra().last_hit.load(std::memory_order_relaxed);
  return static_cast<std::uint32_t>(idle / rte_get_tsc_hz());
}

bool RuleBook::is_aged(const Rule* rule) {
  const std::lock_guard lock(mutex_);
  if (is_stale(rule)) return false;
  const RuleExtra& extra = rule->extra();
  return rte_rdtsc() - extra.last_hit.load(std::memory_order_relaxed) >= extra.age_ticks;
}

std::uint32_t RuleBook::take_aged(std::span<void*> contexts) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t now = rte_rdtsc();
  std::uint32_t count = 0;
  for (Rule* rule : aging_) {
    RuleExtra& extra = rule->extra();
    const bool is_aged = now - extra.last_hit.load(std::memory_order_relaxed) >= extra.age_ticks;
    if (!is_aged) extra.is_aged_reported = false;
    if (!is_aged || extra.is_aged_reported) continue;
    if (!contexts.empty()) {
      if (count == contexts.size()) break;
      contexts[count] = extra.age_context;
      extra.is_aged_reported = true;
    }
    ++count;
  }
  return count;
}

}  // namespace berth::soft
