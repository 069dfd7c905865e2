#include "dataplane/soft/template_ops.h"

#include "dataplane/soft/flow_handle.h"

#include <cerrno>
#include <new>
#include <span>
#include <vector>

namespace berth::soft {
namespace {

// Templates belong to the proxy; the port need not be started for them.
RuleResult<FlowQueues*> queues_of(const rte_eth_dev* ethdev) {
  EthdevPort& port = ethdev_port(ethdev);
  if (port.owner->steering() == Steering::kSoftware) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "templates are of hardware steering only");
  }
  if (port.is_proxy()) return &port.owner->queues();
  return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "transfer actions are only valid to proxy port");
}

// Runs `call` on the queues and turns its result into what rte_flow wants: 0 or a negative errno ...
template <typename Call>
int done(const rte_eth_dev* ethdev, rte_flow_error* error, Call call) try {
  const RuleResult<FlowQueues*> queues = queues_of(ethdev);
  if (!queues) return report(queues.error(), error);
  const auto result = call(**queues);
  return result ? 0 : report(result.error(), error);
} catch (const std::bad_alloc&) {
  return report({ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "out of memory"}, error);
}

// ... or a pointer, null on failure.
template <typename Handle, typename Call>
Handle* made(const rte_eth_dev* ethdev, rte_flow_error* error, Call call) try {
  const RuleResult<FlowQueues*> queues = queues_of(ethdev);
  if (!queues) return report_null<Handle>(queues.error(), error);
  const auto result = call(**queues);
  return result ? reinterpret_cast<Handle*>(*result) : report_null<Handle>(result.error(), error);
} catch (const std::bad_alloc&) {
  return report_null<Handle>({ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "out of memory"}, error);
}

FlowQueues::Operation operation_of(std::uint32_t queue, const rte_flow_op_attr* attr, void* user_data) {
  return {.queue = queue, .postpone = attr != nullptr && attr->postpone != 0, .user_data = user_data};
}

int info_get(rte_eth_dev* ethdev, rte_flow_port_info* port, rte_flow_queue_info* queue,
             rte_flow_error* error) {
  return done(ethdev, error, [&](FlowQueues&) -> RuleResult<void> {
    const PoolSizes& sizes = ethdev_port(ethdev).owner->pool_sizes();
    *port = {};
    port->max_nb_queues = 64;
    port->max_nb_counters = sizes.counters;
    port->max_nb_aging_objects = sizes.rules;
    port->max_nb_meters = sizes.meters;
    queue->max_size = 65536;
    return {};
  });
}

// Of a representor only so that it may start: transfer rules go to the proxy.
int configure(rte_eth_dev* ethdev, const rte_flow_port_attr* attr, std::uint16_t count,
              const rte_flow_queue_attr* queues[], rte_flow_error* error) {
  EthdevPort& port = ethdev_port(ethdev);
  if (!port.is_proxy() && port.owner->steering() != Steering::kSoftware) {
    port.has_queues = true;
    return 0;
  }
  return done(ethdev, error, [&](FlowQueues& all) { return all.configure(*attr, {queues, count}); });
}

rte_flow_pattern_template* pattern_template_create(rte_eth_dev* ethdev,
                                                   const rte_flow_pattern_template_attr* attr,
                                                   const rte_flow_item pattern[], rte_flow_error* error) {
  return made<rte_flow_pattern_template>(ethdev, error,
                                         [&](FlowQueues& all) { return all.create_pattern(*attr, pattern); });
}

int pattern_template_destroy(rte_eth_dev* ethdev, rte_flow_pattern_template* one, rte_flow_error* error) {
  return done(ethdev, error,
              [&](FlowQueues& all) { return all.destroy(reinterpret_cast<PatternTemplate*>(one)); });
}

rte_flow_actions_template* actions_template_create(rte_eth_dev* ethdev,
                                                   const rte_flow_actions_template_attr* attr,
                                                   const rte_flow_action actions[],
                                                   const rte_flow_action masks[], rte_flow_error* error) {
  return made<rte_flow_actions_template>(
      ethdev, error, [&](FlowQueues& all) { return all.create_actions(*attr, actions, masks); });
}

int actions_template_destroy(rte_eth_dev* ethdev, rte_flow_actions_template* one, rte_flow_error* error) {
  return done(ethdev, error,
              [&](FlowQueues& all) { return all.destroy(reinterpret_cast<ActionsTemplate*>(one)); });
}

rte_flow_template_table* template_table_create(rte_eth_dev* ethdev, const rte_flow_template_table_attr* attr,
                                               rte_flow_pattern_template* patterns[],
                                               std::uint8_t pattern_count,
                                               rte_flow_actions_template* actions[],
                                               std::uint8_t actions_count, rte_flow_error* error) {
  return made<rte_flow_template_table>(ethdev, error, [&](FlowQueues& all) -> RuleResult<TemplateTable*> {
    if (auto checked = check_attributes(attr->flow_attr, ethdev_port(ethdev).owner->limits()); !checked) {
      return std::unexpected(checked.error());
    }
    std::vector<PatternTemplate*> pattern_list;
    for (std::size_t i = 0; i < pattern_count; ++i) {
      pattern_list.push_back(reinterpret_cast<PatternTemplate*>(patterns[i]));
    }
    std::vector<ActionsTemplate*> actions_list;
    for (std::size_t i = 0; i < actions_count; ++i) {
      actions_list.push_back(reinterpret_cast<ActionsTemplate*>(actions[i]));
    }
    return all.create_table(*attr, std::move(pattern_list), std::move(actions_list));
  });
}

int template_table_destroy(rte_eth_dev* ethdev, rte_flow_template_table* one, rte_flow_error* error) {
  return done(ethdev, error,
              [&](FlowQueues& all) { return all.destroy(reinterpret_cast<TemplateTable*>(one)); });
}

rte_flow* async_create(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr,
                       rte_flow_template_table* table, const rte_flow_item pattern[],
                       std::uint8_t pattern_index, const rte_flow_action actions[],
                       std::uint8_t actions_index, void* user_data, rte_flow_error* error) {
  return made<rte_flow>(ethdev, error, [&](FlowQueues& all) -> RuleResult<rte_flow*> {
    const auto rule =
        all.create(operation_of(queue, attr, user_data), *reinterpret_cast<TemplateTable*>(table), pattern,
                   pattern_index, actions, actions_index);
    if (!rule) return std::unexpected(rule.error());
    return handle_of(*rule);
  });
}

int async_destroy(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr, rte_flow* flow,
                  void* user_data, rte_flow_error* error) {
  return done(ethdev, error, [&](FlowQueues& all) -> RuleResult<void> {
    AsyncRule* rule = async_rule_of(flow);
    if (rule == nullptr) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, "the rule was not created asynchronously");
    }
    return all.destroy(operation_of(queue, attr, user_data), rule);
  });
}

int push(rte_eth_dev* ethdev, std::uint32_t queue, rte_flow_error* error) {
  return done(ethdev, error, [&](FlowQueues& all) { return all.push(queue); });
}

int pull(rte_eth_dev* ethdev, std::uint32_t queue, rte_flow_op_result results[], std::uint16_t count,
         rte_flow_error* error) {
  const RuleResult<FlowQueues*> queues = queues_of(ethdev);
  if (!queues) return report(queues.error(), error);
  const RuleResult<std::uint16_t> pulled = (*queues)->pull(queue, {results, count});
  return pulled ? *pulled : report(pulled.error(), error);
}

}  // namespace

void set_template_ops(rte_flow_ops& ops) {
  ops.info_get = &info_get;
  ops.configure = &configure;
  ops.pattern_template_create = &pattern_template_create;
  ops.pattern_template_destroy = &pattern_template_destroy;
  ops.actions_template_create = &actions_template_create;
  ops.actions_template_destroy = &actions_template_destroy;
  ops.template_table_create = &template_table_create;
  ops.template_table_destroy = &template_table_destroy;
  ops.async_create = &async_create;
  ops.async_destroy = &async_destroy;
  ops.push = &push;
  ops.pull = &pull;
}

}  // namespace berth::soft
