// The asynchronous rte_flow API: template tables of fixed size, and queues of operations.
//
// An operation takes effect when it is enqueued; its completion can be pulled once it was pushed (a
// postponed operation waits for the next push). A queue holds at most its declared number of operations
// that were not pulled yet. Every call may come from any thread; they take turns on one mutex.
#pragma once

#include "dataplane/soft/faults.h"
#include "dataplane/soft/flow_templates.h"
#include "dataplane/soft/port_map.h"
#include "dataplane/soft/profile.h"
#include "dataplane/soft/rule_book.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <rte_flow.h>

namespace berth::soft {

class TemplateTable;

// The handle of an asynchronous rule; lives in its table.
struct AsyncRule {
  Rule* rule = nullptr;  // null when creation failed or the rule is gone
  TemplateTable* table = nullptr;
};

class TemplateTable {
 public:
  TemplateTable(const rte_flow_template_table_attr& attr, std::vector<PatternTemplate*> patterns,
                std::vector<ActionsTemplate*> actions);

  AsyncRule* take();  // null when the table is full (HP-41)
  void give_back(AsyncRule* rule) { free_.push_back(rule); }
  bool is_empty() const { return free_.size() + unused_.size() == rules_.size(); }

  const rte_flow_attr& attr() const { return attr_; }
  const std::vector<PatternTemplate*>& patterns() const { return patterns_; }
  const std::vector<ActionsTemplate*>& actions() const { return actions_; }
  void forget_rules();

 private:
  rte_flow_attr attr_;
  std::vector<PatternTemplate*> patterns_;
  std::vector<ActionsTemplate*> actions_;
  std::vector<AsyncRule> rules_;
  std::vector<AsyncRule*> free_;
  std::span<AsyncRule> unused_;  // the end of rules_, never taken yet
};

class FlowQueues {
 public:
  // Makes a rule like the synchronous API does; the switch provides it (checks, lowering, faults).
  using CreateRule =
      std::function<RuleResult<Rule*>(const rte_flow_attr&, const rte_flow_item[], const rte_flow_action[])>;

  FlowQueues(RuleBook& rules, Faults& faults, CreateRule create)
      : rules_(rules), faults_(faults), create_rule_(std::move(create)) {}

  RuleResult<void> configure(const rte_flow_port_attr& attr,
                             std::span<const rte_flow_queue_attr* const> queues);
  bool are_configured() const { return !queues_.empty(); }

  RuleResult<PatternTemplate*> create_pattern(const rte_flow_pattern_template_attr& attr,
                                              const rte_flow_item pattern[]);
  RuleResult<ActionsTemplate*> create_actions(const rte_flow_actions_template_attr& attr,
                                              const rte_flow_action actions[], const rte_flow_action masks[]);
  RuleResult<TemplateTable*> create_table(const rte_flow_template_table_attr& attr,
                                          std::vector<PatternTemplate*> patterns,
                                          std::vector<ActionsTemplate*> actions);
  // EBUSY while in use: rules before tables before templates.
  RuleResult<void> destroy(PatternTemplate* pattern);
  RuleResult<void> destroy(ActionsTemplate* actions);
  RuleResult<void> destroy(TemplateTable* table);

  struct Operation {
    std::uint32_t queue = 0;
    bool postpone = false;
    void* user_data = nullptr;
  };
  RuleResult<AsyncRule*> create(const Operation& operation, TemplateTable& table,
                                const rte_flow_item pattern[], std::uint8_t pattern_index,
                                const rte_flow_action actions[], std::uint8_t actions_index);
  RuleResult<void> destroy(const Operation& operation, AsyncRule* rule);
  // An operation on an indirect action that was done already and only needs its completion.
  RuleResult<void> complete(const Operation& operation, bool succeeded);
  RuleResult<void> check_room(std::uint32_t queue);

  RuleResult<void> push(std::uint32_t queue);
  RuleResult<std::uint16_t> pull(std::uint32_t queue, std::span<rte_flow_op_result> results);

  const DeclaredPools& pools() const { return pools_; }
  // The port was stopped: every rule is gone already, completions are not worth anything.
  void forget_rules();

 private:
  struct Completion {
    rte_flow_op_result result;
    AsyncRule* freed;  // goes back to its table when pulled
  };
  struct Queue {
    std::uint32_t size = 0;
    std::size_t pushed = 0;  // completions from the front that may be pulled
    std::deque<Completion> completions;
  };

  RuleResult<Queue*> queue_for(std::uint32_t index);
  RuleResult<void> room_in(std::uint32_t index);
  void finish(const Operation& operation, bool succeeded, AsyncRule* freed);

  RuleBook& rules_;
  Faults& faults_;
  CreateRule create_rule_;
  std::mutex mutex_;
  DeclaredPools pools_;
  std::vector<Queue> queues_;
  std::vector<std::unique_ptr<PatternTemplate>> patterns_;
  std::vector<std::unique_ptr<ActionsTemplate>> actions_;
  std::vector<std::unique_ptr<TemplateTable>> tables_;
  ActionsTemplate::Merged merged_{};  // scratch
};

}  // namespace berth::soft
