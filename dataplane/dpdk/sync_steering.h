// Lowering A: rules by synchronous rte_flow, one call a rule (mlx5 with dv_flow_en=1).
#pragma once

#include "dataplane/dpdk/meters.h"
#include "dataplane/dpdk/steering.h"
#include "dataplane/rule_text.h"

namespace berth::dataplane::dpdk {

class SyncSteering : public Steering {
 public:
  SyncSteering(std::uint16_t proxy, PortNumbering number_of)
      : proxy_(proxy), number_of_(std::move(number_of)), meters_(proxy) {}

  Result<InstalledRule> create(const Rule& rule, std::uint32_t slot) override;
  Result<void> destroy(const InstalledRule& installed, const Rule& rule) override;
  Result<RuleCount> query(const InstalledRule& installed) override;

 private:
  std::uint16_t proxy_;
  PortNumbering number_of_;
  Meters meters_;
};

}  // namespace berth::dataplane::dpdk
