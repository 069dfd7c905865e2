// The meters of one DPDK eSwitch (rte_mtr), shared by the rules that name equal ones. What exceeds a
// meter's rate is red, and red is dropped: the driver's default policy, the only one that both of
// mlx5's steering engines have (HP-30). Single-threaded, like Engine.
#pragma once

#include "base/error.h"
#include "dataplane/rule.h"

#include <cstdint>
#include <map>
#include <set>

namespace berth::dataplane::dpdk {

// The profile `id` of the device: one rate, nothing beyond its burst. RESOURCE_EXHAUSTED (METERS_FULL),
// HARDWARE_REJECTED (METER_REFUSED).
Result<void> add_meter_profile(std::uint16_t proxy, std::uint32_t id, const Meter& meter);

class Meters {
 public:
  explicit Meters(std::uint16_t proxy) : proxy_(proxy) {}

  // The number to put into a METER action, made when nobody else uses an equal meter. One release() for
  // every success. RESOURCE_EXHAUSTED (METERS_FULL), HARDWARE_REJECTED (METER_REFUSED).
  Result<std::uint32_t> acquire(const Meter& meter);
  // After the rule is gone.
  void release(const Meter& meter);

 private:
  struct Used {
    std::uint32_t id = 0;
    std::size_t rules = 0;
  };

  Result<void> create(std::uint32_t id, const Meter& meter) const;
  void destroy(std::uint32_t id) const;
  Result<void> need_policy();

  std::uint16_t proxy_;
  bool has_policy_ = false;
  std::map<Meter, Used> used_;
  std::set<std::uint32_t> free_ids_;
  std::uint32_t next_id_ = 1;
};

}  // namespace berth::dataplane::dpdk
