#include "dataplane/soft/flow_queues.h"

#include <algorithm>
#include <cerrno>

namespace berth::soft {
namespace {

constexpr std::size_t kMaxTemplatesOfTable = 32;

std::unexpected<RuleError> no(int code, const char* message) {
  return refuse(code, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, message);
}

template <typename T>
RuleResult<void> erase_unused(std::vector<std::unique_ptr<T>>& all, const T* one) {
  const auto at = std::ranges::find(all, one, &std::unique_ptr<T>::get);
  if (at == all.end()) return no(EINVAL, "no such template");
  if ((*at)->users != 0) return no(EBUSY, "template in use (HP-41)");
  all.erase(at);
  return {};
}

}  // namespace

TemplateTable::TemplateTable(const rte_flow_template_table_attr& attr, std::vector<PatternTemplate*> patterns,
                             std::vector<ActionsTemplate*> actions)
    : attr_(attr.flow_attr),
      patterns_(std::move(patterns)),
      actions_(std::move(actions)),
      rules_(attr.nb_flows),
      unused_(rules_) {}

AsyncRule* TemplateTable::take() {
  AsyncRule* taken = nullptr;
  if (!free_.empty()) {
    taken = free_.back();
    free_.pop_back();
  } else if (!unused_.empty()) {
    taken = &unused_.front();
    unused_ = unused_.subspan(1);
  }
  if (taken != nullptr) *taken = {nullptr, this};
  return taken;
}

void TemplateTable::forget_rules() {
  free_.clear();
  unused_ = rules_;
}

RuleResult<void> FlowQueues::configure(const rte_flow_port_attr& attr,
                                       std::span<const rte_flow_queue_attr* const> queues) {
  const std::lock_guard lock(mutex_);
  if (!tables_.empty() || !patterns_.empty() || !actions_.empty()) {
    return no(EBUSY, "flow engine is in use and cannot be configured again");
  }
  if (queues.empty()) return no(EINVAL, "at least one queue is needed");
  if (attr.nb_aging_objects != 0 && attr.nb_counters == 0) return no(EINVAL, "aging needs counters (HP-40)");
  for (const rte_flow_queue_attr* queue : queues) {
    if (queue == nullptr || queue->size == 0 || queue->size != queues.front()->size) {
      return no(EINVAL, "queues need one size, above 0");
    }
  }
  pools_ = {.counters = attr.nb_counters, .aging = attr.nb_aging_objects, .meters = attr.nb_meters};
  queues_.clear();
  for (const rte_flow_queue_attr* queue : queues)
    queues_.push_back({.size = queue->size, .pushed = 0, .completions = {}});
  return {};
}

RuleResult<PatternTemplate*> FlowQueues::create_pattern(const rte_flow_pattern_template_attr& attr,
                                                        const rte_flow_item pattern[]) {
  RuleResult<PatternTemplate> made = PatternTemplate::from(attr, pattern);
  if (!made) return std::unexpected(made.error());
  const std::lock_guard lock(mutex_);
  return patterns_.emplace_back(std::make_unique<PatternTemplate>(*std::move(made))).get();
}

RuleResult<ActionsTemplate*> FlowQueues::create_actions(const rte_flow_actions_template_attr& attr,
                                                        const rte_flow_action actions[],
                                                        const rte_flow_action masks[]) {
  const std::lock_guard lock(mutex_);
  RuleResult<ActionsTemplate> made = ActionsTemplate::from(attr, actions, masks, pools_);
  if (!made) return std::unexpected(made.error());
  return actions_.emplace_back(std::make_unique<ActionsTemplate>(*std::move(made))).get();
}

RuleResult<TemplateTable*> FlowQueues::create_table(const rte_flow_template_table_attr& attr,
                                                    std::vector<PatternTemplate*> patterns,
                                                    std::vector<ActionsTemplate*> actions) {
  const std::lock_guard lock(mutex_);
  if (queues_.empty()) return no(EINVAL, "flow engine is not configured");
  if (attr.nb_flows == 0 || patterns.empty() || actions.empty() || patterns.size() > kMaxTemplatesOfTable ||
      actions.size() > kMaxTemplatesOfTable) {
    return no(EINVAL, "a table needs rules and 1 to 32 templates of each kind (HP-41)");
  }
  if (attr.flow_attr.group == 0 && patterns.size() > 1) {
    return no(EINVAL, "group 0 takes one pattern template a table (HP-01)");
  }
  for (PatternTemplate* pattern : patterns) ++pattern->users;
  for (ActionsTemplate* list : actions) ++list->users;
  auto made = std::make_unique<TemplateTable>(attr, std::move(patterns), std::move(actions));
  return tables_.emplace_back(std::move(made)).get();
}

RuleResult<void> FlowQueues::destroy(PatternTemplate* pattern) {
  const std::lock_guard lock(mutex_);
  return erase_unused(patterns_, pattern);
}

RuleResult<void> FlowQueues::destroy(ActionsTemplate* actions) {
  const std::lock_guard lock(mutex_);
  return erase_unused(actions_, actions);
}

RuleResult<void> FlowQueues::destroy(TemplateTable* table) {
  const std::lock_guard lock(mutex_);
  const auto at = std::ranges::find(tables_, table, &std::unique_ptr<TemplateTable>::get);
  if (at == tables_.end()) return no(EINVAL, "no such table");
  if (!table->is_empty()) return no(EBUSY, "table in use (HP-41)");
  for (PatternTemplate* pattern : table->patterns()) --pattern->users;
  for (ActionsTemplate* list : table->actions()) --list->users;
  tables_.erase(at);
  return {};
}

RuleResult<FlowQueues::Queue*> FlowQueues::queue_for(std::uint32_t index) {
  if (index >= queues_.size()) return no(EINVAL, "no such queue");
  return &queues_[index];
}

RuleResult<void> FlowQueues::room_in(std::uint32_t index) {
  const RuleResult<Queue*> queue = queue_for(index);
  if (!queue) return std::unexpected(queue.error());
  if ((*queue)->completions.size() >= (*queue)->size) return no(EAGAIN, "queue is full: push and pull first");
  return {};
}

RuleResult<void> FlowQueues::check_room(std::uint32_t queue) {
  const std::lock_guard lock(mutex_);
  return room_in(queue);
}

void FlowQueues::finish(const Operation& operation, bool succeeded, AsyncRule* freed) {
  faults_.on_async();
  Queue& queue = queues_[operation.queue];
  queue.completions.push_back(
      {{succeeded ? RTE_FLOW_OP_SUCCESS : RTE_FLOW_OP_ERROR, operation.user_data}, freed});
  if (!operation.postpone) queue.pushed = queue.completions.size();
}

RuleResult<AsyncRule*> FlowQueues::create(const Operation& operation, TemplateTable& table,
                                          const rte_flow_item pattern[], std::uint8_t pattern_index,
                                          const rte_flow_action actions[], std::uint8_t actions_index) {
  const std::lock_guard lock(mutex_);
  if (RuleResult<void> room = room_in(operation.queue); !room) return std::unexpected(room.error());
  if (pattern_index >= table.patterns().size() || actions_index >= table.actions().size()) {
    return no(EINVAL, "the table has no template of that index");
  }
  std::array<rte_flow_item, kMaxTemplateItems + 1> items;
  if (auto merged = table.patterns()[pattern_index]->merge(pattern, items); !merged) {
    return std::unexpected(merged.error());
  }
  if (auto merged = table.actions()[actions_index]->merge(actions, merged_); !merged) {
    return std::unexpected(merged.error());
  }
  AsyncRule* handle = table.take();
  if (handle == nullptr) return no(ENOMEM, "the table is full (HP-41)");
  const RuleResult<Rule*> made = create_rule_(table.attr(), items.data(), merged_.actions.data());
  if (made) handle->rule = *made;
  finish(operation, made.has_value(), made ? nullptr : handle);
  return handle;
}

RuleResult<void> FlowQueues::destroy(const Operation& operation, AsyncRule* rule) {
  const std::lock_guard lock(mutex_);
  if (RuleResult<void> room = room_in(operation.queue); !room) return room;
  if (rule->rule == nullptr) return no(EINVAL, "the rule does not exist");
  rules_.destroy(rule->rule);
  rule->rule = nullptr;
  finish(operation, true, rule);
  return {};
}

RuleResult<void> FlowQueues::complete(const Operation& operation, bool succeeded) {
  const std::lock_guard lock(mutex_);
  if (RuleResult<void> room = room_in(operation.queue); !room) return room;
  finish(operation, succeeded, nullptr);
  return {};
}

RuleResult<void> FlowQueues::push(std::uint32_t index) {
  const std::lock_guard lock(mutex_);
  const RuleResult<Queue*> queue = queue_for(index);
  if (!queue) return std::unexpected(queue.error());
  (*queue)->pushed = (*queue)->completions.size();
  return {};
}

RuleResult<std::uint16_t> FlowQueues::pull(std::uint32_t index, std::span<rte_flow_op_result> results) {
  const std::lock_guard lock(mutex_);
  const RuleResult<Queue*> found = queue_for(index);
  if (!found) return std::unexpected(found.error());
  if (faults_.is_stalled()) return 0;
  Queue& queue = **found;
  std::uint16_t count = 0;
  for (; count < results.size() && queue.pushed != 0; ++count, --queue.pushed) {
    const Completion completion = queue.completions.front();
    queue.completions.pop_front();
    results[count] = completion.result;
    if (completion.freed != nullptr) completion.freed->table->give_back(completion.freed);
  }
  return count;
}

void FlowQueues::forget_rules() {
  const std::lock_guard lock(mutex_);
  for (Queue& queue : queues_) {
    queue.completions.clear();
    queue.pushed = 0;
  }
  for (const auto& table : tables_) table->forget_rules();
}

}  // namespace berth::soft
