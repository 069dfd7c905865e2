#include "dataplane/soft/flow_ops.h"

#include "dataplane/soft/flow_handle.h"
#include "dataplane/soft/indirect_ops.h"
#include "dataplane/soft/rule_text.h"
#include "dataplane/soft/template_ops.h"

#include <cerrno>
#include <new>

#include <rte_flow_driver.h>

namespace berth::soft {
namespace {

bool is_software_steering(const rte_eth_dev* ethdev) {
  return ethdev_port(ethdev).owner->steering() == Steering::kSoftware;
}

// A transfer rule belongs to the switch, so it is made on the proxy only, and only while it runs. Software
// steering takes rules on every port of the switch.
RuleResult<SoftSwitch*> switch_of(const rte_eth_dev* ethdev) {
  EthdevPort& port = ethdev_port(ethdev);
  if (!port.is_proxy() && !is_software_steering(ethdev)) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, "transfer actions are only valid to proxy port");
  }
  if (!port.owner->is_started()) return refuse(ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "port not started");
  if (port.owner->is_broken()) {
    return refuse(EIO, RTE_FLOW_ERROR_TYPE_STATE, "the E-Switch was reset: restart the proxy");
  }
  return port.owner;
}

RuleContext context_of(const rte_eth_dev* ethdev) {
  return {.dialect = is_software_steering(ethdev) ? Dialect::kSoftware : Dialect::kRule,
          .made_on = ethdev_port(ethdev).index};
}

int validate(rte_eth_dev* ethdev, const rte_flow_attr* attr, const rte_flow_item pattern[],
             const rte_flow_action actions[], rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  const RuleResult<void> checked = (*owner)->validate_rule(*attr, pattern, actions, context_of(ethdev));
  return checked ? 0 : report(checked.error(), error);
}

rte_flow* create(rte_eth_dev* ethdev, const rte_flow_attr* attr, const rte_flow_item pattern[],
                 const rte_flow_action actions[], rte_flow_error* error) try {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report_null<rte_flow>(owner.error(), error);
  if (ethdev->data->dev_started == 0) {  // a representor
    return report_null<rte_flow>({ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "port not started"}, error);
  }
  const RuleResult<Rule*> rule = (*owner)->create_rule(*attr, pattern, actions, context_of(ethdev));
  return rule ? handle_of(*rule) : report_null<rte_flow>(rule.error(), error);
} catch (const std::bad_alloc&) {
  return report_null<rte_flow>({ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "out of memory"}, error);
}

// Where the port's own stop destroys its rules, there is nothing left to do, and nothing to complain about,
// for a client that destroys them after it.
int destroy(rte_eth_dev* ethdev, rte_flow* flow, rte_flow_error* error) {
  if (is_software_steering(ethdev) && async_rule_of(flow) == nullptr) {
    ethdev_port(ethdev).owner->rules().destroy(rule_of(flow));
    return 0;
  }
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  if (async_rule_of(flow) != nullptr) {
    return report({EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, "the rule was created asynchronously"}, error);
  }
  (*owner)->rules().destroy(rule_of(flow));
  return 0;
}

// Flushing a representor or a stopped port is no error: there is nothing of it to flush.
int flush(rte_eth_dev* ethdev, rte_flow_error* /*error*/) {
  if (is_software_steering(ethdev)) {
    ethdev_port(ethdev).owner->rules().flush_of(ethdev_port(ethdev).index);
    return 0;
  }
  if (const RuleResult<SoftSwitch*> owner = switch_of(ethdev); owner) {
    (*owner)->rules().flush();
    (*owner)->queues().forget_rules();
  }
  return 0;
}

RuleResult<void> query_one(RuleBook& rules, Rule* rule, const rte_flow_action& action, void* data) {
  if (action.type == RTE_FLOW_ACTION_TYPE_COUNT) {
    auto* count = static_cast<rte_flow_query_count*>(data);
    const RuleResult<CounterValue> value = rules.query(rule, count->reset != 0);
    if (!value) return std::unexpected(value.error());
    count->hits_set = 1;
    count->bytes_set = 1;
    count->hits = value->packets;
    count->bytes = value->bytes;
    return {};
  }
  if (action.type == RTE_FLOW_ACTION_TYPE_AGE) {
    const RuleResult<std::uint32_t> idle = rules.seconds_idle(rule);
    if (!idle) return std::unexpected(idle.error());
    auto* age = static_cast<rte_flow_query_age*>(data);
    age->sec_since_last_hit_valid = 1;
    age->sec_since_last_hit = *idle & 0xffffffU;
    age->aged = rules.is_aged(rule) ? 1 : 0;
    return {};
  }
  return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, "action not supported", &action);
}

int query(rte_eth_dev* ethdev, rte_flow* flow, const rte_flow_action* action, void* data,
          rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  Rule* rule = rule_of(flow);
  if (rule == nullptr) return report({EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, "the rule does not exist"}, error);
  for (; action->type != RTE_FLOW_ACTION_TYPE_END; ++action) {
    if (action->type == RTE_FLOW_ACTION_TYPE_VOID) continue;
    if (auto done = query_one((*owner)->rules(), rule, *action, data); !done)
      return report(done.error(), error);
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

int get_aged_flows(rte_eth_dev* ethdev, void** contexts, std::uint32_t count, rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  return static_cast<int>((*owner)->rules().take_aged({contexts, count}));
}

int get_q_aged_flows(rte_eth_dev* ethdev, std::uint32_t /*queue*/, void** contexts, std::uint32_t count,
                     rte_flow_error* error) {
  return get_aged_flows(ethdev, contexts, count, error);
}

int pick_transfer_proxy(rte_eth_dev* ethdev, std::uint16_t* proxy, rte_flow_error* /*error*/) {
  *proxy = ethdev_port(ethdev).owner->port_map().ethdev_of(kUplink);
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
  ops.get_aged_flows = &get_aged_flows;
  ops.get_q_aged_flows = &get_q_aged_flows;
  ops.pick_transfer_proxy = &pick_transfer_proxy;
  set_template_ops(ops);
  set_indirect_ops(ops);
  return ops;
}();

}  // namespace

int flow_ops_get(rte_eth_dev* /*ethdev*/, const rte_flow_ops** ops) {
  *ops = &kOps;
  return 0;
}

}  // namespace berth::soft
