// Lowering B: rules by templates and a queue (rte_flow_async_*; mlx5 with dv_flow_en=2).
//
// Rules of one shape (group, priority, masked items, types of actions) share a table, which is made when
// its first rule comes; a full table is followed by a larger one. Tables stay until the eSwitch closes:
// a shape that was needed once is likely needed again.
//
// Hardware steering cannot drop in a meter. A metered rule marks the packet (METER_MARK), and the group that
// it jumps to drops what is marked red, in front of all its rules (HP-30).
//
// Every operation is pushed and its completion awaited at once, so that each change has its own outcome.
#pragma once

#include "dataplane/dpdk/lowering.h"
#include "dataplane/dpdk/steering.h"
#include "dataplane/rule_text.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace berth::dataplane::dpdk {

struct TemplatePools {
  std::uint32_t counters = 1U << 20;
  std::uint32_t meters = 1U << 12;
};

class TemplateSteering : public Steering {
 public:
  // Declares queue and pools: between rte_eth_dev_configure and rte_eth_dev_start of the proxy.
  // HARDWARE_REJECTED (STEERING_UNAVAILABLE) when the device has no such engine.
  static Result<void> configure(std::uint16_t proxy, const TemplatePools& pools);

  // On a configured proxy that is started.
  TemplateSteering(std::uint16_t proxy, PortNumbering number_of);
  // Rules must be gone; frees tables and templates.
  ~TemplateSteering() override;
  TemplateSteering(const TemplateSteering&) = delete;
  TemplateSteering& operator=(const TemplateSteering&) = delete;

  Result<InstalledRule> create(const Rule& rule, std::uint32_t slot) override;
  Result<void> destroy(const InstalledRule& installed, const Rule& rule) override;
  Result<RuleCount> query(const InstalledRule& installed) override;

 private:
  struct Table;
  struct Shape;
  struct Flow;
  struct MeterMark;

  Result<Flow> insert(const LoweredRule& lowered);
  Result<void> erase(const Flow& flow);
  Result<void> await_completion();
  Result<Shape*> shape_for(const LoweredRule& lowered);
  Result<Table*> room_in(Shape& shape, const rte_flow_attr& attr);
  Result<MeterMark*> acquire_mark(const Meter& meter);
  void release_mark(const Meter& meter);
  Result<void> need_red_drop(std::uint16_t group);

  std::uint16_t proxy_;
  PortNumbering number_of_;
  std::map<std::string, std::unique_ptr<Shape>> shapes_;
  std::map<Meter, std::unique_ptr<MeterMark>> marks_;
  std::uint32_t next_profile_ = 1;
  std::set<std::uint32_t> free_profiles_;
  std::map<std::uint16_t, Flow> red_drops_;  // by group
};

}  // namespace berth::dataplane::dpdk
