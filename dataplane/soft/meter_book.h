// The meters of the rte_mtr API: profiles and meters by number, as METER actions name them.
//
// One policy exists, the driver's default: green and yellow go on with the rule, red is dropped (HP-30).
#pragma once

#include "dataplane/soft/grace.h"
#include "dataplane/soft/meter.h"
#include "dataplane/soft/rule_book.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace berth::soft {

class MeterBook {
 public:
  MeterBook(std::uint32_t limit, RuleBook& rules) : limit_(limit), rules_(rules) {}

  RuleResult<void> add_profile(std::uint32_t id, const rte_mtr_meter_profile& profile);
  RuleResult<void> remove_profile(std::uint32_t id);
  const MeterProfile* profile(std::uint32_t id);  // null when there is none

  RuleResult<void> create(std::uint32_t id, const rte_mtr_params& params);
  RuleResult<void> destroy(std::uint32_t id);  // EBUSY while a rule uses it
  RuleResult<void> set_enabled(std::uint32_t id, bool enabled);
  RuleResult<void> set_profile(std::uint32_t id, std::uint32_t profile);
  RuleResult<rte_mtr_stats> read(std::uint32_t id);
  Meter* meter(std::uint32_t id);  // null when there is none

 private:
  struct Entry {
    std::unique_ptr<Meter> meter;
    std::uint32_t profile;
  };
  RuleResult<Entry*> entry(std::uint32_t id);

  const std::uint32_t limit_;
  RuleBook& rules_;
  std::mutex mutex_;
  std::map<std::uint32_t, MeterProfile> profiles_;
  std::map<std::uint32_t, Entry> meters_;
};

}  // namespace berth::soft
