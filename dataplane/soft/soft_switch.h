// The device: ports, rules and worker of one net_berth, and the ethdevs that show it to applications.
//
// ethdev_ops.cc and flow_ops.cc are its two faces towards DPDK; probing is in driver.cc. The backing
// ethdevs belong to the switch (rte_eth_dev_owner) from creation on: nobody else iterates over them.
#pragma once

#include "dataplane/soft/devargs.h"
#include "dataplane/soft/faults.h"
#include "dataplane/soft/flow_queues.h"
#include "dataplane/soft/forwarder.h"
#include "dataplane/soft/idle_nap.h"
#include "dataplane/soft/indirect_action.h"
#include "dataplane/soft/meter_book.h"
#include "dataplane/soft/port_map.h"
#include "dataplane/soft/profile.h"
#include "dataplane/soft/rule_book.h"
#include "dataplane/soft/switch_port.h"

#include <atomic>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include <rte_mempool.h>

namespace berth::soft {

class SoftSwitch;

// dev_private of an ethdev: the proxy (index 0) or a representor.
// LIFETIME: owned by the SoftSwitch, which outlives its ethdevs.
struct EthdevPort {
  SoftSwitch* owner = nullptr;
  PortIndex index = kNoPort;
  rte_eth_dev* ethdev = nullptr;  // null once closed
  rte_ether_addr mac{};
  bool is_started = false;
  bool has_queues = false;         // of hardware steering; a representor's are the driver's own
  rte_mempool* copy_to = nullptr;  // where its received packets go; null: it takes them as they are

  bool is_proxy() const { return index == kUplink; }
};

class SoftSwitch {
 public:
  // Takes the backing ethdevs over, makes rings and the packet pool, registers the service `<name>_switch`.
  static std::expected<std::unique_ptr<SoftSwitch>, std::string> create(std::string name,
                                                                        const SwitchConfig& config);
  ~SoftSwitch();
  SoftSwitch(const SoftSwitch&) = delete;
  SoftSwitch& operator=(const SoftSwitch&) = delete;

  // Makes the ethdevs visible. Negative errno on failure.
  int add_ethdevs(rte_vdev_device& device);
  void forget_ethdev(EthdevPort& port);

  // Configures and starts every backing ethdev, then lets the worker run. Negative errno on failure.
  int start();
  // Stops the worker and the backing ethdevs; all rules are gone afterwards (HP-42).
  void stop();

  // Checks, lowers and makes a rule; what both halves of the rte_flow API do.
  RuleResult<Rule*> create_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                const rte_flow_action actions[], const RuleContext& context);
  RuleResult<void> validate_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                 const rte_flow_action actions[], const RuleContext& context);

  RuleBook& rules() { return rules_; }
  FlowQueues& queues() { return queues_; }
  MeterBook& meters() { return meters_; }
  IndirectActions& handles() { return handles_; }
  Faults& faults() { return faults_; }
  const PoolSizes& pool_sizes() const { return config_.pools; }
  const PortMap& port_map() const { return map_; }
  const ProfileLimits& limits() const { return config_.limits; }
  Steering steering() const { return config_.steering; }
  SwitchPort& port(PortIndex index) { return *ports_[index]; }
  Forwarder& forwarder() { return forwarder_; }
  std::vector<std::unique_ptr<EthdevPort>>& ethdevs() { return ethdevs_; }
  const std::string& name() const { return name_; }
  std::uint16_t domain() const { return domain_; }
  bool is_started() const { return is_started_; }
  // After a reset nothing works until the proxy was stopped and started again.
  bool is_broken() const { return is_broken_; }

 private:
  SoftSwitch(std::string name, const SwitchConfig& config);
  struct LoweredRule {
    Match match;
    ActionList actions;
  };
  RuleResult<LoweredRule> lower(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                const rte_flow_action actions[], const RuleContext& context);
  static std::int32_t run_round(void* soft_switch);
  void reset();
  std::expected<void, std::string> take_ports();
  std::expected<void, std::string> make_pool();
  std::expected<void, std::string> register_service();
  int start_backing(SwitchPort& port);
  bool still_owns(const SwitchPort& port) const;

  struct PoolDeleter {
    void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
  };

  const std::string name_;
  const SwitchConfig config_;
  PortMap map_;
  Forwarder::Ports ports_;
  IndirectActions handles_;  // outlives the rules that use them
  RuleBook rules_;
  Forwarder forwarder_;
  IdleNap idle_nap_;
  Faults faults_;
  MeterBook meters_;
  FlowQueues queues_;
  std::vector<std::unique_ptr<EthdevPort>> ethdevs_;
  std::unique_ptr<rte_mempool, PoolDeleter> pool_;
  rte_eth_dev_owner owner_{};
  std::uint16_t domain_ = RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID;
  std::uint32_t service_ = UINT32_MAX;
  std::atomic<bool> is_started_ = false;
  std::atomic<bool> is_broken_ = false;
};

}  // namespace berth::soft
