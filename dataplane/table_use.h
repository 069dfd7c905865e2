// What rules take of an eSwitch's fixed pools.
#pragma once

#include "dataplane/rule.h"

#include <cstddef>
#include <map>

namespace berth::dataplane {

struct TableUse {
  std::size_t rules = 0;
  std::size_t counters = 0;  // rules that count
  std::size_t meters = 0;    // different ones: rules with equal meters share one

  TableUse& operator+=(const TableUse& other) {
    rules += other.rules;
    counters += other.counters;
    meters += other.meters;
    return *this;
  }
  TableUse& operator-=(const TableUse& other) {
    rules -= other.rules;
    counters -= other.counters;
    meters -= other.meters;
    return *this;
  }
  bool operator==(const TableUse&) const = default;
};

// A sum over rules that come and go.
class TableUseSum {
 public:
  void add(const Rule& rule) {
    ++use_.rules;
    use_.counters += rule.actions.count ? 1 : 0;
    if (rule.actions.meter) use_.meters += ++sharers_[*rule.actions.meter] == 1 ? 1 : 0;
  }
  // One that was added.
  void remove(const Rule& rule) {
    --use_.rules;
    use_.counters -= rule.actions.count ? 1 : 0;
    if (!rule.actions.meter) return;
    const auto shared = sharers_.find(*rule.actions.meter);
    if (--shared->second != 0) return;
    sharers_.erase(shared);
    --use_.meters;
  }
  const TableUse& use() const { return use_; }

 private:
  TableUse use_;
  std::map<Meter, std::size_t> sharers_;
};

}  // namespace berth::dataplane
