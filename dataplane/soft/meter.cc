#include "dataplane/soft/meter.h"

#include <cerrno>

namespace berth::soft {

RuleResult<MeterProfile> MeterProfile::from(const rte_mtr_meter_profile& profile) {
  MeterProfile made;
  made.algorithm = profile.alg;
  made.counts_packets = profile.packet_mode != 0;
  int failed = -ENOTSUP;
  if (profile.alg == RTE_MTR_SRTCM_RFC2697) {
    const auto& from = profile.srtcm_rfc2697;
    rte_meter_srtcm_params params{.cir = from.cir, .cbs = from.cbs, .ebs = from.ebs};
    failed = rte_meter_srtcm_profile_config(&made.srtcm, &params);
  } else if (profile.alg == RTE_MTR_TRTCM_RFC2698) {
    const auto& from = profile.trtcm_rfc2698;
    rte_meter_trtcm_params params{.cir = from.cir, .pir = from.pir, .cbs = from.cbs, .pbs = from.pbs};
    failed = rte_meter_trtcm_profile_config(&made.trtcm, &params);
  } else if (profile.alg == RTE_MTR_TRTCM_RFC4115) {
    const auto& from = profile.trtcm_rfc4115;
    rte_meter_trtcm_rfc4115_params params{.cir = from.cir, .eir = from.eir, .cbs = from.cbs, .ebs = from.ebs};
    failed = rte_meter_trtcm_rfc4115_profile_config(&made.rfc4115, &params);
  }
  if (failed != 0) {
    return refuse(-failed, RTE_FLOW_ERROR_TYPE_UNSPECIFIED,
                  "rates or bursts that the meter does not take (HP-30)");
  }
  return made;
}

Meter::Meter(const MeterProfile& profile) : profile_(new MeterProfile(profile)) {
  MeterProfile copy = profile;  // rte_meter wants it writable
  if (profile.algorithm == RTE_MTR_SRTCM_RFC2697) (void)rte_meter_srtcm_config(&srtcm_, &copy.srtcm);
  if (profile.algorithm == RTE_MTR_TRTCM_RFC2698) (void)rte_meter_trtcm_config(&trtcm_, &copy.trtcm);
  if (profile.algorithm == RTE_MTR_TRTCM_RFC4115)
    (void)rte_meter_trtcm_rfc4115_config(&rfc4115_, &copy.rfc4115);
}

rte_color Meter::check(std::uint64_t now, std::uint32_t bytes) {
  rte_color color = RTE_COLOR_GREEN;
  if (is_enabled_.load(std::memory_order_relaxed)) {
    // rte_meter reads the profile only, though it takes a pointer to non-const.
    auto* profile = const_cast<MeterProfile*>(profile_.load(std::memory_order_acquire));
    const std::uint32_t size = profile->counts_packets ? 1 : bytes;
    switch (profile->algorithm) {
      case RTE_MTR_SRTCM_RFC2697:
        color = rte_meter_srtcm_color_blind_check(&srtcm_, &profile->srtcm, now, size);
        break;
      case RTE_MTR_TRTCM_RFC2698:
        color = rte_meter_trtcm_color_blind_check(&trtcm_, &profile->trtcm, now, size);
        break;
      case RTE_MTR_TRTCM_RFC4115:
        color = rte_meter_trtcm_rfc4115_color_blind_check(&rfc4115_, &profile->rfc4115, now, size);
        break;
      default:
        break;
    }
  }
  counts_[color].add(bytes);
  return color;
}

}  // namespace berth::soft
