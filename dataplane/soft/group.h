// One group of rules: its tables in order of priority. The worker asks them one after the other; the first
// hit wins. Between tables of equal priority the one that matches more bits goes first.
//
// The worker sees an immutable list of tables, replaced whenever a table appears or goes.
#pragma once

#include "dataplane/soft/grace.h"
#include "dataplane/soft/rule_table.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace berth::soft {

class Group {
 public:
  explicit Group(std::uint32_t id) : id_(id) {}
  ~Group() { delete published_.load(std::memory_order_relaxed); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  std::uint32_t id() const { return id_; }

  // Worker side: null is a miss.
  Rule* find(const FieldVector& fields) const {
    const List* list = published_.load(std::memory_order_acquire);
    if (list == nullptr) return nullptr;
    KeyWords key;
    for (const RuleTable* table : *list) {
      const std::uint64_t hash = table->masked_key(fields, key);
      if (Rule* rule = table->find(key, hash); rule != nullptr) return rule;
    }
    return nullptr;
  }

  // Control side.
  RuleTable* table(std::uint32_t priority, const MaskWords& mask) const;
  void add(std::unique_ptr<RuleTable> table, Grace& grace);
  void remove(const RuleTable* table, Grace& grace);
  const std::vector<RuleTable*>& tables() const { return tables_; }

  std::uint32_t references = 0;  // rules in the group, and jumps to it

 private:
  using List = std::vector<const RuleTable*>;
  void publish(Grace& grace);

  std::uint32_t id_;
  std::atomic<const List*> published_ = nullptr;
  std::vector<RuleTable*> tables_;  // owned; sorted
};

}  // namespace berth::soft
