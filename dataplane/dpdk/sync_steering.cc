#include "dataplane/dpdk/sync_steering.h"

#include "dataplane/dpdk/lowering.h"

#include <cerrno>

#include <fmt/format.h>
#include <rte_errno.h>

namespace berth::dataplane::dpdk {

// A full table may have room later; anything else is a verdict.
std::unexpected<Error> rule_refused(int code, const rte_flow_error& why) {
  const std::string message =
      fmt::format("{} ({})", why.message != nullptr ? why.message : "refused", rte_strerror(code));
  if (code == ENOMEM || code == ENOSPC || code == EAGAIN)
    return fail(Code::kResourceExhausted, "ESWITCH_FULL", message);
  return fail(Code::kHardwareRejected, "RULE_REFUSED", message);
}

Result<InstalledRule> SyncSteering::create(const Rule& rule, std::uint32_t slot) {
  std::uint32_t meter = 0;
  if (rule.actions.meter) {
    const auto acquired = meters_.acquire(*rule.actions.meter);
    if (!acquired) return pass(acquired);
    meter = *acquired;
  }
  LoweredRule lowered(rule, SteeringMode::kSoftware, number_of_);
  lowered.set_priority(2 * rule.key.priority + slot);
  lowered.set_meter(meter);
  rte_flow_error why{};
  rte_flow* flow = rte_flow_create(proxy_, &lowered.attr(), lowered.items(), lowered.actions(), &why);
  if (flow != nullptr) return InstalledRule{.handle = flow};
  const int code = rte_errno;
  if (rule.actions.meter) meters_.release(*rule.actions.meter);
  return rule_refused(code, why);
}

Result<void> SyncSteering::destroy(const InstalledRule& installed, const Rule& rule) {
  rte_flow_error why{};
  const int code = rte_flow_destroy(proxy_, static_cast<rte_flow*>(installed.handle), &why);
  if (code != 0) return rule_refused(-code, why);
  if (rule.actions.meter) meters_.release(*rule.actions.meter);
  return {};
}

Result<RuleCount> SyncSteering::query(const InstalledRule& installed) {
  rte_flow_query_count count{};
  const rte_flow_action what[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT, .conf = nullptr},
                                  {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
  rte_flow_error why{};
  const int code = rte_flow_query(proxy_, static_cast<rte_flow*>(installed.handle), what, &count, &why);
  if (code != 0) return rule_refused(-code, why);
  return RuleCount{.packets = count.hits, .bytes = count.bytes};
}

}  // namespace berth::dataplane::dpdk
