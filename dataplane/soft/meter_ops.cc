#include "dataplane/soft/meter_ops.h"

#include "dataplane/soft/flow_handle.h"

#include <cerrno>
#include <new>

#include <rte_mtr_driver.h>

namespace berth::soft {
namespace {

MeterBook& meters_of(const rte_eth_dev* ethdev) {
  return ethdev_port(ethdev).owner->meters();
}

int report(const RuleError& failed, rte_mtr_error* error) {
  return -rte_mtr_error_set(error, failed.code, RTE_MTR_ERROR_TYPE_UNSPECIFIED, nullptr, failed.message);
}

int done(const RuleResult<void>& result, rte_mtr_error* error) {
  return result ? 0 : report(result.error(), error);
}

int capabilities_get(rte_eth_dev* ethdev, rte_mtr_capabilities* capabilities, rte_mtr_error*) {
  *capabilities = {};
  capabilities->n_max = ethdev_port(ethdev).owner->pool_sizes().meters;
  capabilities->n_shared_max = capabilities->n_max;
  capabilities->identical = 1;
  capabilities->shared_identical = 1;
  capabilities->chaining_n_mtrs_per_flow_max = 1;
  capabilities->meter_srtcm_rfc2697_n_max = capabilities->n_max;
  capabilities->meter_trtcm_rfc2698_n_max = capabilities->n_max;
  capabilities->meter_trtcm_rfc4115_n_max = capabilities->n_max;
  capabilities->meter_policy_n_max = 1;
  capabilities->srtcm_rfc2697_byte_mode_supported = 1;
  capabilities->srtcm_rfc2697_packet_mode_supported = 1;
  capabilities->stats_mask = RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW |
                             RTE_MTR_STATS_N_BYTES_GREEN | RTE_MTR_STATS_N_BYTES_YELLOW |
                             RTE_MTR_STATS_N_PKTS_DROPPED | RTE_MTR_STATS_N_BYTES_DROPPED;
  return 0;
}

int profile_add(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_meter_profile* profile, rte_mtr_error* error) {
  return done(meters_of(ethdev).add_profile(id, *profile), error);
}

int profile_delete(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_error* error) {
  return done(meters_of(ethdev).remove_profile(id), error);
}

rte_flow_meter_profile* profile_get(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_error* error) {
  const MeterProfile* profile = meters_of(ethdev).profile(id);
  if (profile == nullptr)
    (void)report({ENOENT, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "Meter profile id not valid."}, error);
  return reinterpret_cast<rte_flow_meter_profile*>(const_cast<MeterProfile*>(profile));
}

// Only the default policy exists: nothing to do for green and yellow, red is dropped.
int policy_validate(rte_eth_dev*, rte_mtr_meter_policy_params* policy, rte_mtr_error* error) {
  const auto is = [policy](rte_color color, rte_flow_action_type type) {
    const rte_flow_action* action = policy->actions[color];
    return action == nullptr ? type == RTE_FLOW_ACTION_TYPE_END : action->type == type;
  };
  if (is(RTE_COLOR_GREEN, RTE_FLOW_ACTION_TYPE_END) && is(RTE_COLOR_YELLOW, RTE_FLOW_ACTION_TYPE_END) &&
      is(RTE_COLOR_RED, RTE_FLOW_ACTION_TYPE_DROP)) {
    return 0;
  }
  return report(
      {ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "only the default policy (drop red) is supported (HP-30)"},
      error);
}

int policy_add(rte_eth_dev* ethdev, std::uint32_t, rte_mtr_meter_policy_params* policy,
               rte_mtr_error* error) {
  return policy_validate(ethdev, policy, error);
}

int policy_delete(rte_eth_dev*, std::uint32_t, rte_mtr_error*) {
  return 0;
}

rte_flow_meter_policy* policy_get(rte_eth_dev*, std::uint32_t, rte_mtr_error*) {
  static int the_default_policy;
  return reinterpret_cast<rte_flow_meter_policy*>(&the_default_policy);
}

int create(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_params* params, int /*shared*/,
           rte_mtr_error* error) {
  return done(meters_of(ethdev).create(id, *params), error);
}

int destroy(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_error* error) {
  return done(meters_of(ethdev).destroy(id), error);
}

int enable(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_error* error) {
  return done(meters_of(ethdev).set_enabled(id, true), error);
}

int disable(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_error* error) {
  return done(meters_of(ethdev).set_enabled(id, false), error);
}

int profile_update(rte_eth_dev* ethdev, std::uint32_t id, std::uint32_t profile, rte_mtr_error* error) {
  return done(meters_of(ethdev).set_profile(id, profile), error);
}

int stats_update(rte_eth_dev*, std::uint32_t, std::uint64_t, rte_mtr_error*) {
  return 0;
}

int stats_read(rte_eth_dev* ethdev, std::uint32_t id, rte_mtr_stats* stats, std::uint64_t* mask, int clear,
               rte_mtr_error* error) {
  if (clear != 0) {
    return report({ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "meter statistics cannot be cleared"}, error);
  }
  const RuleResult<rte_mtr_stats> read = meters_of(ethdev).read(id);
  if (!read) return report(read.error(), error);
  *stats = *read;
  *mask = RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW | RTE_MTR_STATS_N_BYTES_GREEN |
          RTE_MTR_STATS_N_BYTES_YELLOW | RTE_MTR_STATS_N_PKTS_DROPPED | RTE_MTR_STATS_N_BYTES_DROPPED;
  return 0;
}

const rte_mtr_ops kOps = [] {
  rte_mtr_ops ops{};
  ops.capabilities_get = &capabilities_get;
  ops.meter_profile_add = &profile_add;
  ops.meter_profile_delete = &profile_delete;
  ops.meter_profile_get = &profile_get;
  ops.meter_policy_validate = &policy_validate;
  ops.meter_policy_add = &policy_add;
  ops.meter_policy_delete = &policy_delete;
  ops.meter_policy_get = &policy_get;
  ops.create = &create;
  ops.destroy = &destroy;
  ops.meter_enable = &enable;
  ops.meter_disable = &disable;
  ops.meter_profile_update = &profile_update;
  ops.stats_update = &stats_update;
  ops.stats_read = &stats_read;
  return ops;
}();

}  // namespace

int meter_ops_get(rte_eth_dev* /*ethdev*/, void* ops) {
  *static_cast<const rte_mtr_ops**>(ops) = &kOps;
  return 0;
}

}  // namespace berth::soft
