// Meters: token buckets (RFC 2697, 2698, 4115) that colour packets, shared by any number of rules.
//
// The buckets belong to the worker. The control side swaps the profile, switches the meter on and off and
// reads the counts. LIFETIME: a Meter and its profiles are freed only after a grace period.
#pragma once

#include "dataplane/soft/counter.h"
#include "dataplane/soft/rule_error.h"

#include <array>
#include <atomic>
#include <cstdint>

#include <rte_meter.h>
#include <rte_mtr.h>

namespace berth::soft {

struct MeterProfile {
  rte_mtr_algorithm algorithm = RTE_MTR_SRTCM_RFC2697;
  bool counts_packets = false;  // rates and bursts are in packets instead of bytes
  rte_meter_srtcm_profile srtcm{};
  rte_meter_trtcm_profile trtcm{};
  rte_meter_trtcm_rfc4115_profile rfc4115{};

  // EINVAL for rates or bursts that the algorithm does not take.
  static RuleResult<MeterProfile> from(const rte_mtr_meter_profile& profile);
};

class Meter {
 public:
  explicit Meter(const MeterProfile& profile);
  ~Meter() { delete profile_.load(std::memory_order_relaxed); }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // Worker side; `now` is the TSC.
  rte_color check(std::uint64_t now, std::uint32_t bytes);

  // Control side. Returns the old profile, to be retired.
  const MeterProfile* set_profile(const MeterProfile& profile) {
    return profile_.exchange(new MeterProfile(profile), std::memory_order_acq_rel);
  }
  void set_enabled(bool enabled) { is_enabled_.store(enabled, std::memory_order_relaxed); }
  const PacketCounter& count(rte_color color) const { return counts_[color]; }

  std::uint32_t references = 0;  // rules; control side

 private:
  std::atomic<const MeterProfile*> profile_;
  std::atomic<bool> is_enabled_ = true;
  rte_meter_srtcm srtcm_{};
  rte_meter_trtcm trtcm_{};
  rte_meter_trtcm_rfc4115 rfc4115_{};
  std::array<PacketCounter, RTE_COLORS> counts_;
};

}  // namespace berth::soft
