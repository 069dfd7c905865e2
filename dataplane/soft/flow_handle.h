// What the opaque pointers of the rte_flow API are in this driver, and how refusals are reported.
//
// A rte_flow is a Rule (synchronous) or, with its lowest bit set, an AsyncRule. Both are at least 8-byte
// aligned, so the bit is free.
#pragma once

#include "dataplane/soft/flow_queues.h"
#include "dataplane/soft/soft_switch.h"

#include <cstdint>
#include <ethdev_driver.h>

#include <rte_flow.h>

namespace berth::soft {

inline EthdevPort& ethdev_port(const rte_eth_dev* ethdev) {
  return *static_cast<EthdevPort*>(ethdev->data->dev_private);
}

inline rte_flow* handle_of(Rule* rule) {
  return reinterpret_cast<rte_flow*>(rule);
}
inline rte_flow* handle_of(AsyncRule* rule) {
  return reinterpret_cast<rte_flow*>(reinterpret_cast<std::uintptr_t>(rule) | 1);
}

// Null when the handle is a synchronous rule.
inline AsyncRule* async_rule_of(rte_flow* flow) {
  const auto bits = reinterpret_cast<std::uintptr_t>(flow);
  return (bits & 1) != 0 ? reinterpret_cast<AsyncRule*>(bits & ~std::uintptr_t{1}) : nullptr;
}

// The rule behind either kind of handle; null for an asynchronous rule that does not exist.
inline Rule* rule_of(rte_flow* flow) {
  const AsyncRule* async = async_rule_of(flow);
  return async != nullptr ? async->rule : reinterpret_cast<Rule*>(flow);
}

inline int report(const RuleError& failed, rte_flow_error* error) {
  return rte_flow_error_set(error, failed.code, failed.type, failed.cause, failed.message);
}
template <typename T>
T* report_null(const RuleError& failed, rte_flow_error* error) {
  report(failed, error);
  return nullptr;
}

}  // namespace berth::soft
