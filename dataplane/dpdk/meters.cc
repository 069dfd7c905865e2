#include "dataplane/dpdk/meters.h"

#include <cerrno>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mtr.h>

namespace berth::dataplane::dpdk {
namespace {

constexpr std::uint32_t kPolicy = 1;

std::unexpected<Error> meter_refused(int code, const rte_mtr_error& why) {
  const std::string message =
      fmt::format("meter: {} ({})", why.message != nullptr ? why.message : "refused", rte_strerror(-code));
  if (code == -ENOMEM || code == -ENOSPC) return fail(Code::kResourceExhausted, "METERS_FULL", message);
  return fail(Code::kHardwareRejected, "METER_REFUSED", message);
}

}  // namespace

Result<std::uint32_t> Meters::acquire(const Meter& meter) {
  const auto known = used_.find(meter);
  if (known != used_.end()) {
    ++known->second.rules;
    return known->second.id;
  }
  if (auto ready = need_policy(); !ready) return pass(ready);
  const std::uint32_t id = free_ids_.empty() ? next_id_ : *free_ids_.begin();
  if (auto created = create(id, meter); !created) return pass(created);
  if (free_ids_.erase(id) == 0) ++next_id_;
  used_.emplace(meter, Used{.id = id, .rules = 1});
  return id;
}

void Meters::release(const Meter& meter) {
  const auto used = used_.find(meter);
  if (--used->second.rules > 0) return;
  destroy(used->second.id);
  free_ids_.insert(used->second.id);
  used_.erase(used);
}

Result<void> add_meter_profile(std::uint16_t proxy, std::uint32_t id, const Meter& meter) {
  rte_mtr_meter_profile profile{};
  profile.alg = RTE_MTR_SRTCM_RFC2697;
  profile.srtcm_rfc2697.cir = meter.per_second;
  profile.srtcm_rfc2697.cbs = meter.burst;
  profile.packet_mode = meter.in_packets ? 1 : 0;
  rte_mtr_error why{};
  if (const int code = rte_mtr_meter_profile_add(proxy, id, &profile, &why); code != 0)
    return meter_refused(code, why);
  return {};
}

Result<void> Meters::create(std::uint32_t id, const Meter& meter) const {
  if (auto added = add_meter_profile(proxy_, id, meter); !added) return added;
  rte_mtr_error why{};
  rte_mtr_params params{};
  params.meter_profile_id = id;
  params.meter_policy_id = kPolicy;
  params.meter_enable = 1;
  constexpr int kShared = 1;
  if (const int code = rte_mtr_create(proxy_, id, &params, kShared, &why); code != 0) {
    rte_mtr_error ignored{};
    (void)rte_mtr_meter_profile_delete(proxy_, id, &ignored);
    return meter_refused(code, why);
  }
  return {};
}

// Its rules are gone, so nothing can hold it back; and a number that the driver still knows is refused
// by the next acquire(), not lost.
void Meters::destroy(std::uint32_t id) const {
  rte_mtr_error ignored{};
  (void)rte_mtr_destroy(proxy_, id, &ignored);
  (void)rte_mtr_meter_profile_delete(proxy_, id, &ignored);
}

// Green and yellow go on with the rule, red is dropped.
Result<void> Meters::need_policy() {
  if (has_policy_) return {};
  const rte_flow_action end{.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr};
  const rte_flow_action drop[] = {{.type = RTE_FLOW_ACTION_TYPE_DROP, .conf = nullptr}, end};
  rte_mtr_meter_policy_params policy{};
  policy.actions[RTE_COLOR_GREEN] = &end;
  policy.actions[RTE_COLOR_YELLOW] = &end;
  policy.actions[RTE_COLOR_RED] = drop;
  rte_mtr_error why{};
  if (const int code = rte_mtr_meter_policy_add(proxy_, kPolicy, &policy, &why); code != 0)
    return meter_refused(code, why);
  has_policy_ = true;
  return {};
}

}  // namespace berth::dataplane::dpdk
