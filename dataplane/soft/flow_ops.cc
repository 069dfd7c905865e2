#include "dataplane/soft/flow_ops.h"

#include "dataplane/soft/rule_text.h"
#include "dataplane/soft/soft_switch.h"

#include <cerrno>
#include <new>

#include <rte_flow_driver.h>

namespace berth::soft {
namespace {

EthdevPort& port_of(const rte_eth_dev* ethdev) {
  return *static_cast<EthdevPort*>(ethdev->data->dev_private);
}

// The opaque rte_flow of the public API is our Rule.
rte_flow* handle_of(Rule* rule) {
  return reinterpret_cast<rte_flow*>(rule);
}
Rule* rule_of(rte_flow* flow) {
  return reinterpret_cast<Rule*>(flow);
}

int report(const RuleError& failed, rte_flow_error* error) {
  return rte_flow_error_set(error, failed.code, failed.type, failed.cause, failed.message);
}

// A transfer rule belongs to the switch, so it is created on the proxy only, and only while it runs.
RuleResult<SoftSwitch*> switch_of(const rte_eth_dev* ethdev) {
  EthdevPort& port = port_of(ethdev);
  if (!port.is_proxy()) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, "transfer actions are only valid to proxy port");
  }
  if (!port.owner->is_started()) return refuse(ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "port not started");
  return port.owner;
}

struct LoweredRule {
  Match match;
  ActionList actions;
};

RuleResult<LoweredRule> lower(const SoftSwitch& owner, const rte_flow_attr* attr,
                              const rte_flow_item pattern[], const rte_flow_action actions[]) {
  if (auto facts = check_rule(*attr, pattern, actions, owner.port_map(), owner.limits()); !facts) {
    return std::unexpected(facts.error());
  }
  RuleResult<ActionList> list = lower_actions(actions, owner.port_map());
  if (!list) return std::unexpected(list.error());
  return LoweredRule{lower_pattern(pattern, owner.port_map()), *std::move(list)};
}

int validate(rte_eth_dev* ethdev, const rte_flow_attr* attr, const rte_flow_item pattern[],
             const rte_flow_action actions[], rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  const RuleResult<LoweredRule> rule = lower(**owner, attr, pattern, actions);
  return rule ? 0 : report(rule.error(), error);
}

rte_flow* create(rte_eth_dev* ethdev, const rte_flow_attr* attr, const rte_flow_item pattern[],
                 const rte_flow_action actions[], rte_flow_error* error) {
  const auto fail = [error](const RuleError& failed) -> rte_flow* {
    report(failed, error);
    return nullptr;
  };
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return fail(owner.error());
  const RuleResult<LoweredRule> lowered = lower(**owner, attr, pattern, actions);
  if (!lowered) return fail(lowered.error());
  try {
    const RuleResult<Rule*> rule =
        (*owner)->rules().create(attr->group, attr->priority, lowered->match, lowered->actions);
    return rule ? handle_of(*rule) : fail(rule.error());
  } catch (const std::bad_alloc&) {
    return fail({ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "out of memory"});
  }
}

int destroy(rte_eth_dev* ethdev, rte_flow* flow, rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  (*owner)->rules().destroy(rule_of(flow));
  return 0;
}

// Flushing a representor or a stopped port is no error: there is nothing of it to flush.
int flush(rte_eth_dev* ethdev, rte_flow_error* /*error*/) {
  if (const RuleResult<SoftSwitch*> owner = switch_of(ethdev); owner) (*owner)->rules().flush();
  return 0;
}

int query(rte_eth_dev* ethdev, rte_flow* flow, const rte_flow_action* action, void* data,
          rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  for (; action->type != RTE_FLOW_ACTION_TYPE_END; ++action) {
    if (action->type == RTE_FLOW_ACTION_TYPE_VOID) continue;
    if (action->type != RTE_FLOW_ACTION_TYPE_COUNT) {
      return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action, "action not supported");
    }
    auto* count = static_cast<rte_flow_query_count*>(data);
    const RuleResult<CounterValue> value = (*owner)->rules().query(rule_of(flow), count->reset != 0);
    if (!value) return report(value.error(), error);
    count->hits_set = 1;
    count->bytes_set = 1;
    count->hits = value->packets;
    count->bytes = value->bytes;
  }
  return 0;
}

int isolate(rte_eth_dev* /*ethdev*/, int /*set*/, rte_flow_error* /*error*/) {
  return 0;  // the switch never gives a packet to anyone that its rules did not name: always isolated
}

int dev_dump(rte_eth_dev* ethdev, rte_flow* flow, FILE* file, rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  const PortMap& ports = (*owner)->port_map();
  (*owner)->rules().view(rule_of(flow), [&](const RuleView& rule) {
    std::fprintf(file, "%s\n", format_rule(rule, ports).c_str());
  });
  return 0;
}

int pick_transfer_proxy(rte_eth_dev* ethdev, std::uint16_t* proxy, rte_flow_error* /*error*/) {
  *proxy = port_of(ethdev).owner->port_map().ethdev_of(kUplink);
  return 0;
}

const rte_flow_ops kOps = [] {
  rte_flow_ops ops{};
  ops.validate = &validate;
  ops.create = &create;
  ops.destroy = &destroy;
  ops.flush = &flush;
  ops.query = &query;
  ops.isolate = &isolate;
  ops.dev_dump = &dev_dump;
  ops.pick_transfer_proxy = &pick_transfer_proxy;
  return ops;
}();

}  // namespace

int flow_ops_get(rte_eth_dev* /*ethdev*/, const rte_flow_ops** ops) {
  *ops = &kOps;
  return 0;
}

}  // namespace berth::soft
