#include "dataplane/soft/soft_switch.h"

#include "dataplane/soft/ethdev_ops.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ethdev_vdev.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_service.h>
#include <rte_service_component.h>

namespace berth::soft {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr std::uint32_t kMbufsBase = 8192;
constexpr std::uint32_t kMbufsPerPort = 3072;
constexpr unsigned kMbufCache = 256;
constexpr unsigned kInjectedPackets = 512;

// Packets of a port that there is not.
void make_unmatchable(Match& match) {
  match.key.port = kNoPort;
  match.mask.port = UINT16_MAX;
}

}  // namespace

SoftSwitch::SoftSwitch(std::string name, const SwitchConfig& config)
    : name_(std::move(name)),
      config_(config),
      rules_(config.pools, config.steering == Steering::kSoftware ? Handles::kMayBeStale : Handles::kLive),
      forwarder_(rules_, ports_, config.cached_flows),
      idle_nap_(config.idle_nap_us),
      meters_(config.pools.meters, rules_),
      queues_(
          rules_, faults_,
          [this](const rte_flow_attr& attr, const rte_flow_item pattern[], const rte_flow_action actions[]) {
            return create_rule(attr, pattern, actions, {.dialect = Dialect::kTemplate});
          }) {
  faults_.plan(config.faults);
}

std::expected<std::unique_ptr<SoftSwitch>, std::string> SoftSwitch::create(std::string name,
                                                                           const SwitchConfig& config) {
  std::unique_ptr<SoftSwitch> made(new SoftSwitch(std::move(name), config));
  if (auto taken = made->take_ports(); !taken) return std::unexpected(taken.error());
  if (auto pool = made->make_pool(); !pool) return std::unexpected(pool.error());
  if (auto service = made->register_service(); !service) return std::unexpected(service.error());
  if (rte_eth_switch_domain_alloc(&made->domain_) != 0) return std::unexpected("no switch domain is left");
  return made;
}

SoftSwitch::~SoftSwitch() {
  stop();
  if (service_ != UINT32_MAX) {
    rte_service_component_runstate_set(service_, 0);
    while (rte_service_may_be_active(service_) == 1) rte_pause();
    rte_service_component_unregister(service_);
  }
  for (const auto& port : ports_) {
    if (still_owns(*port)) rte_eth_dev_owner_unset(port->backing, owner_.id);
  }
  if (domain_ != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID) rte_eth_switch_domain_free(domain_);
}

std::expected<void, std::string> SoftSwitch::take_ports() {
  if (rte_eth_dev_owner_new(&owner_.id) != 0) return std::unexpected("no ethdev owner id is left");
  std::strncpy(owner_.name, name_.c_str(), sizeof(owner_.name) - 1);
  std::vector<std::string> names{config_.uplink};
  names.insert(names.end(), config_.functions.begin(), config_.functions.end());
  for (const std::string& backing : names) {
    auto port = std::make_unique<SwitchPort>();
    port->backing_name = backing;
    std::uint16_t id = RTE_MAX_ETHPORTS;
    if (rte_eth_dev_get_port_by_name(backing.c_str(), &id) != 0) {
      return std::unexpected("no ethdev is named " + backing + " (it must be created before " + name_ + ")");
    }
    if (rte_eth_dev_owner_set(id, &owner_) != 0) {
      return std::unexpected("ethdev " + backing + " belongs to somebody else");
    }
    port->backing = id;
    const std::string suffix = std::to_string(ports_.size());
    const auto ring = [&](const char* kind) {
      const std::string ring_name = name_ + kind + suffix;
      return Ring(rte_ring_create(ring_name.c_str(), config_.agent_ring, SOCKET_ID_ANY,
                                  RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ));
    };
    port->to_agent = ring("_up");
    port->from_agent = ring("_down");
    if (port->to_agent == nullptr || port->from_agent == nullptr) {
      return std::unexpected(std::string("cannot make a ring: ") + rte_strerror(rte_errno));
    }
    ports_.push_back(std::move(port));
  }
  const std::string ring_name = name_ + "_inject";
  Ring injected(
      rte_ring_create(ring_name.c_str(), kInjectedPackets, SOCKET_ID_ANY, RING_F_SC_DEQ | RING_F_EXACT_SZ));
  if (injected == nullptr)
    return std::unexpected(std::string("cannot make a ring: ") + rte_strerror(rte_errno));
  forwarder_.set_injected(std::move(injected));
  return {};
}

std::expected<void, std::string> SoftSwitch::make_pool() {
  const auto ports = static_cast<std::uint32_t>(ports_.size());
  const std::uint32_t count = config_.mbufs != 0 ? config_.mbufs : kMbufsBase + kMbufsPerPort * ports;
  pool_.reset(rte_pktmbuf_pool_create(name_.c_str(), count, kMbufCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                      static_cast<int>(rte_socket_id())));
  if (pool_ != nullptr) return {};
  return std::unexpected("cannot make a pool of " + std::to_string(count) +
                         " packets: " + rte_strerror(rte_errno));
}

std::int32_t SoftSwitch::run_round(void* soft_switch) {
  SoftSwitch& self = *static_cast<SoftSwitch*>(soft_switch);
  const bool was_idle = self.forwarder_.run() == 0;
  self.idle_nap_.after_round(was_idle);
  return was_idle ? -EAGAIN : 0;
}

std::expected<void, std::string> SoftSwitch::register_service() {
  rte_service_spec spec{};
  const std::string service_name = name_ + "_switch";
  std::strncpy(spec.name, service_name.c_str(), sizeof(spec.name) - 1);
  spec.callback = &run_round;
  spec.callback_userdata = this;
  spec.socket_id = static_cast<int>(rte_socket_id());
  if (const int failed = rte_service_component_register(&spec, &service_); failed != 0) {
    service_ = UINT32_MAX;
    return std::unexpected(std::string("cannot register the service: ") + rte_strerror(-failed));
  }
  rte_service_component_runstate_set(service_, 1);
  rte_service_runstate_set(service_, 1);
  return {};
}

bool SoftSwitch::still_owns(const SwitchPort& port) const {
  rte_eth_dev_owner owner{};
  return rte_eth_dev_is_valid_port(port.backing) != 0 && rte_eth_dev_owner_get(port.backing, &owner) == 0 &&
         owner.id == owner_.id;
}

int SoftSwitch::start_backing(SwitchPort& port) {
  rte_eth_conf conf{};
  int failed = rte_eth_dev_configure(port.backing, 1, 1, &conf);
  if (failed != 0) return failed;
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  failed = rte_eth_dev_adjust_nb_rx_tx_desc(port.backing, &rx, &tx);
  if (failed != 0) return failed;
  const auto socket = static_cast<unsigned>(rte_socket_id());
  failed = rte_eth_rx_queue_setup(port.backing, 0, rx, socket, nullptr, pool_.get());
  if (failed != 0) return failed;
  failed = rte_eth_tx_queue_setup(port.backing, 0, tx, socket, nullptr);
  if (failed != 0) return failed;
  failed = rte_eth_dev_start(port.backing);
  if (failed != 0) return failed;
  (void)rte_eth_promiscuous_enable(port.backing);  // not every driver has it, and then needs none
  return 0;
}

int SoftSwitch::start() {
  for (const auto& port : ports_) {
    if (const int failed = start_backing(*port); failed != 0) {
      for (const auto& started : ports_) {
        if (started == port) break;
        rte_eth_dev_stop(started->backing);
      }
      return failed;
    }
  }
  is_started_ = true;
  is_broken_ = false;
  forwarder_.start(config_.unbacked);
  return 0;
}

void SoftSwitch::stop() {
  if (!is_started_) return;
  is_started_ = false;
  forwarder_.stop();
  for (const auto& port : ports_) {
    if (still_owns(*port)) rte_eth_dev_stop(port->backing);
  }
  forwarder_.drain();
  rules_.flush();
  queues_.forget_rules();
}

RuleResult<SoftSwitch::LoweredRule> SoftSwitch::lower(const rte_flow_attr& attr,
                                                      const rte_flow_item pattern[],
                                                      const rte_flow_action actions[],
                                                      const RuleContext& context) {
  const RuleResult<PatternFacts> facts = check_rule(attr, pattern, actions, map_, config_.limits, context);
  if (!facts) return std::unexpected(facts.error());
  RuleResult<ActionList> list = lower_actions(
      actions, map_, {.made_on = context.made_on, .outer = facts->outer, .inner = facts->inner});
  if (!list) return std::unexpected(list.error());
  if (list->meter_id) {
    list->meter = meters_.meter(*list->meter_id);
    if (list->meter == nullptr) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, "Meter not found", actions);
    }
  }
  return LoweredRule{lower_pattern(pattern, map_, facts->source), *std::move(list)};
}

RuleResult<void> SoftSwitch::validate_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                           const rte_flow_action actions[], const RuleContext& context) {
  const RuleResult<LoweredRule> lowered = lower(attr, pattern, actions, context);
  if (!lowered) return std::unexpected(lowered.error());
  return {};
}

RuleResult<Rule*> SoftSwitch::create_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                          const rte_flow_action actions[], const RuleContext& context) {
  if (!is_started_) return refuse(ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "port not started");
  if (is_broken_) return refuse(EIO, RTE_FLOW_ERROR_TYPE_STATE, "the E-Switch was reset: restart the proxy");
  RuleResult<LoweredRule> lowered = lower(attr, pattern, actions, context);
  if (!lowered) return std::unexpected(lowered.error());
  if (faults_.ignores_now()) make_unmatchable(lowered->match);
  if (const int refused = faults_.on_create(); refused != 0) {
    return refuse(refused, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "refused on request");
  }
  RuleResult<Rule*> rule =
      rules_.create(attr.group, attr.priority, lowered->match, lowered->actions, context.made_on);
  if (rule && faults_.resets_now()) {
    reset();
    return refuse(EIO, RTE_FLOW_ERROR_TYPE_STATE, "the E-Switch was reset: restart the proxy");
  }
  return rule;
}

// As firmware does it: every rule is lost, handles with them, and the application is told.
void SoftSwitch::reset() {
  is_broken_ = true;
  rules_.flush();
  if (rte_eth_dev* proxy = ethdevs_[kUplink]->ethdev; proxy != nullptr) {
    rte_eth_dev_callback_process(proxy, RTE_ETH_EVENT_INTR_RESET, nullptr);
  }
}

int SoftSwitch::add_ethdevs(rte_vdev_device& device) {
  for (PortIndex index = 0; index < ports_.size(); ++index) {
    const std::string name = index == kUplink ? name_ : name_ + "_representor_vf" + std::to_string(index - 1);
    rte_eth_dev* ethdev = rte_eth_dev_allocate(name.c_str());
    if (ethdev == nullptr) return -ENOSPC;
    auto port = std::make_unique<EthdevPort>();
    *port = {.owner = this, .index = index, .ethdev = ethdev};
    port->mac = {{0x02, 0xbe, 0, 0, static_cast<std::uint8_t>(index >> 8), static_cast<std::uint8_t>(index)}};
    ethdev->device = &device.device;
    ethdev->data->numa_node = device.device.numa_node;
    ethdev->data->dev_private = port.get();
    ethdev->data->mac_addrs = &port->mac;
    if (index != kUplink) {
      ethdev->data->dev_flags |= RTE_ETH_DEV_REPRESENTOR;
      ethdev->data->representor_id = static_cast<std::uint16_t>(index - 1);
      ethdev->data->backer_port_id = ethdevs_[kUplink]->ethdev->data->port_id;
    }
    map_.add(ethdev->data->port_id, index);
    set_ethdev_ops(*ethdev);
    ethdevs_.push_back(std::move(port));
  }
  map_.add_unbacked(static_cast<PortIndex>(ports_.size()), static_cast<std::uint16_t>(config_.unbacked));
  for (const auto& port : ethdevs_) rte_eth_dev_probing_finish(port->ethdev);
  return 0;
}

void SoftSwitch::forget_ethdev(EthdevPort& port) {
  // Both are ours, not rte_malloc'ed: ethdev must not free them.
  port.ethdev->data->mac_addrs = nullptr;
  port.ethdev->data->dev_private = nullptr;
  port.ethdev = nullptr;
}

}  // namespace berth::soft
