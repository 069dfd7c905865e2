#include "dataplane/soft/indirect_ops.h"

#include "dataplane/soft/flow_handle.h"

#include <cerrno>
#include <memory>
#include <utility>

namespace berth::soft {
namespace {

IndirectAction& action_of(rte_flow_action_handle* handle) {
  return *reinterpret_cast<IndirectAction*>(handle);
}

RuleResult<SoftSwitch*> switch_of(const rte_eth_dev* ethdev) {
  EthdevPort& port = ethdev_port(ethdev);
  if (port.is_proxy()) return port.owner;
  return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "transfer actions are only valid to proxy port");
}

RuleResult<IndirectAction*> create(SoftSwitch& owner, const rte_flow_indir_action_conf& conf,
                                   const rte_flow_action& action) {
  if (conf.transfer == 0 || conf.ingress != 0 || conf.egress != 0) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR, "only transfer actions are supported (HP-01)");
  }
  auto made = std::make_unique<IndirectAction>();
  made->type = action.type;
  if (action.type == RTE_FLOW_ACTION_TYPE_METER_MARK) {
    const auto* mark = static_cast<const rte_flow_action_meter_mark*>(action.conf);
    if (mark == nullptr || mark->profile == nullptr) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ACTION_CONF, "meter_mark needs a profile (HP-30)", &action);
    }
    if (mark->color_mode != 0 && mark->init_color != RTE_COLOR_GREEN) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION_CONF, "meter_mark starts from green only (HP-30)",
                    &action);
    }
    made->meter = std::make_unique<Meter>(*reinterpret_cast<const MeterProfile*>(mark->profile));
    made->meter->set_enabled(mark->state != 0);
  } else if (action.type != RTE_FLOW_ACTION_TYPE_COUNT) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, "action type not supported (HP-28)", &action);
  }
  return owner.handles().keep(std::move(made));
}

RuleResult<void> destroy(SoftSwitch& owner, IndirectAction& shared) {
  if (owner.rules().is_used(shared)) {
    return refuse(EBUSY, RTE_FLOW_ERROR_TYPE_ACTION, "indirect action is in use");
  }
  owner.rules().retire([](void*, void* object, std::size_t) { delete static_cast<IndirectAction*>(object); },
                       owner.handles().release(&shared));
  return {};
}

RuleResult<void> update(SoftSwitch& owner, IndirectAction& shared, const void* change) {
  if (shared.type != RTE_FLOW_ACTION_TYPE_METER_MARK) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, "this action cannot be updated");
  }
  const auto& update = *static_cast<const rte_flow_update_meter_mark*>(change);
  if (update.state_valid != 0) shared.meter->set_enabled(update.meter_mark.state != 0);
  if (update.profile_valid != 0) {
    const MeterProfile* old =
        shared.meter->set_profile(*reinterpret_cast<const MeterProfile*>(update.meter_mark.profile));
    owner.rules().retire([](void*, void* object, std::size_t) { delete static_cast<MeterProfile*>(object); },
                         const_cast<MeterProfile*>(old));
  }
  return {};
}

RuleResult<void> query(IndirectAction& shared, void* data) {
  if (shared.type != RTE_FLOW_ACTION_TYPE_COUNT) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, "this action cannot be queried");
  }
  auto* count = static_cast<rte_flow_query_count*>(data);
  const CounterValue value = RuleBook::read(shared, count->reset != 0);
  count->hits_set = 1;
  count->bytes_set = 1;
  count->hits = value.packets;
  count->bytes = value.bytes;
  return {};
}

// Synchronous operations ...
template <typename Call>
int done(const rte_eth_dev* ethdev, rte_flow_error* error, Call call) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report(owner.error(), error);
  const RuleResult<void> result = call(**owner);
  return result ? 0 : report(result.error(), error);
}

rte_flow_action_handle* handle_create(rte_eth_dev* ethdev, const rte_flow_indir_action_conf* conf,
                                      const rte_flow_action* action, rte_flow_error* error) {
  const RuleResult<SoftSwitch*> owner = switch_of(ethdev);
  if (!owner) return report_null<rte_flow_action_handle>(owner.error(), error);
  const RuleResult<IndirectAction*> made = create(**owner, *conf, *action);
  return made ? reinterpret_cast<rte_flow_action_handle*>(*made)
              : report_null<rte_flow_action_handle>(made.error(), error);
}

int handle_destroy(rte_eth_dev* ethdev, rte_flow_action_handle* handle, rte_flow_error* error) {
  return done(ethdev, error, [&](SoftSwitch& owner) { return destroy(owner, action_of(handle)); });
}

int handle_update(rte_eth_dev* ethdev, rte_flow_action_handle* handle, const void* change,
                  rte_flow_error* error) {
  return done(ethdev, error, [&](SoftSwitch& owner) { return update(owner, action_of(handle), change); });
}

int handle_query(rte_eth_dev* ethdev, const rte_flow_action_handle* handle, void* data,
                 rte_flow_error* error) {
  return done(ethdev, error, [&](SoftSwitch&) {
    return query(action_of(const_cast<rte_flow_action_handle*>(handle)), data);
  });
}

// ... and the same on a queue: done at once, completed in order with the queue's other operations.
template <typename Call>
int enqueue(const rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr, void* user_data,
            rte_flow_error* error, Call call) {
  return done(ethdev, error, [&](SoftSwitch& owner) -> RuleResult<void> {
    if (auto room = owner.queues().check_room(queue); !room) return room;
    const RuleResult<void> result = call(owner);
    const FlowQueues::Operation operation{queue, attr != nullptr && attr->postpone != 0, user_data};
    return owner.queues().complete(operation, result.has_value());
  });
}

rte_flow_action_handle* async_create(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr,
                                     const rte_flow_indir_action_conf* conf, const rte_flow_action* action,
                                     void* user_data, rte_flow_error* error) {
  rte_flow_action_handle* handle = nullptr;
  const int failed = enqueue(ethdev, queue, attr, user_data, error, [&](SoftSwitch&) -> RuleResult<void> {
    rte_flow_error ignored{};
    handle = handle_create(ethdev, conf, action, &ignored);
    if (handle == nullptr) return refuse(rte_errno, RTE_FLOW_ERROR_TYPE_ACTION, "not created");
    return {};
  });
  return failed == 0 ? handle : nullptr;
}

int async_destroy(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr,
                  rte_flow_action_handle* handle, void* user_data, rte_flow_error* error) {
  return enqueue(ethdev, queue, attr, user_data, error,
                 [&](SoftSwitch& owner) { return destroy(owner, action_of(handle)); });
}

int async_update(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr,
                 rte_flow_action_handle* handle, const void* change, void* user_data, rte_flow_error* error) {
  return enqueue(ethdev, queue, attr, user_data, error,
                 [&](SoftSwitch& owner) { return update(owner, action_of(handle), change); });
}

int async_query(rte_eth_dev* ethdev, std::uint32_t queue, const rte_flow_op_attr* attr,
                const rte_flow_action_handle* handle, void* data, void* user_data, rte_flow_error* error) {
  return enqueue(ethdev, queue, attr, user_data, error, [&](SoftSwitch&) {
    return query(action_of(const_cast<rte_flow_action_handle*>(handle)), data);
  });
}

}  // namespace

void set_indirect_ops(rte_flow_ops& ops) {
  ops.action_handle_create = &handle_create;
  ops.action_handle_destroy = &handle_destroy;
  ops.action_handle_update = &handle_update;
  ops.action_handle_query = &handle_query;
  ops.async_action_handle_create = &async_create;
  ops.async_action_handle_destroy = &async_destroy;
  ops.async_action_handle_update = &async_update;
  ops.async_action_handle_query = &async_query;
}

}  // namespace berth::soft
