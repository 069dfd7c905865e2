// How a rule gets into the NIC. mlx5 has two engines, and DPDK has an API for each: software steering
// takes one rule at a time (lowering A, sync_steering.h), hardware steering wants templates and queues
// (lowering B, template_steering.h). Which one a host uses is decided when the eSwitch is opened.
#pragma once

#include "base/error.h"
#include "dataplane/dpdk/steering_mode.h"
#include "dataplane/rule.h"

#include <cstdint>

#include <rte_flow.h>

namespace berth::dataplane::dpdk {

struct RuleCount {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// A rule in the NIC: what the steering engine needs to find it again.
struct InstalledRule {
  void* handle = nullptr;    // LIFETIME: the engine's, until destroy()
  std::uint32_t detail = 0;  // the engine's own
};

// Single-threaded, like Engine.
class Steering {
 public:
  virtual ~Steering() = default;

  // Every rule has two device priorities of its own, one a `slot` (0 or 1), so that its replacement can
  // stand beside it. RESOURCE_EXHAUSTED (ESWITCH_FULL, METERS_FULL) when a pool is empty, HARDWARE_REJECTED
  // (RULE_REFUSED, METER_REFUSED) for a verdict. Packets see the rule when this returns.
  virtual Result<InstalledRule> create(const Rule& rule, std::uint32_t slot) = 0;
  // `rule` is the one that it was made from.
  virtual Result<void> destroy(const InstalledRule& installed, const Rule& rule) = 0;
  // Of a rule that counts.
  virtual Result<RuleCount> query(const InstalledRule& installed) = 0;
};

// What rte_flow said about a rule; `code` is its positive errno.
std::unexpected<Error> rule_refused(int code, const rte_flow_error& why);

}  // namespace berth::dataplane::dpdk
