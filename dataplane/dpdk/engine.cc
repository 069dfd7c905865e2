#include "dataplane/dpdk/engine.h"

#include "dataplane/dpdk/port_failed.h"
#include "dataplane/dpdk/sync_steering.h"
#include "dataplane/dpdk/template_steering.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>

namespace berth::dataplane::dpdk {
namespace {

constexpr std::uint16_t kSlowPathDescriptors = 256;
constexpr unsigned kSlowPathBuffers = 4095;
constexpr unsigned kAnySocket = static_cast<unsigned>(SOCKET_ID_ANY);

bool is_unbacked(std::uint16_t ethdev_port_id) {
  return ethdev_port_id >= RTE_MAX_ETHPORTS;
}

// A receive queue of a NIC keeps a buffer for each descriptor; beyond them a burst of each port is being
// answered.
constexpr unsigned kBuffersPerEthdev = kSlowPathDescriptors + 64;

// What the NIC gives to nobody else it gives to the kernel: the host's own packets stay the host's. Before
// the port is configured.
Result<void> leave_to_kernel(const SwitchPort& ethdev) {
  rte_flow_error why{};
  if (rte_flow_isolate(ethdev.ethdev_port_id, 1, &why) == 0) return {};
  return port_failed(ethdev.name, why.message != nullptr ? why.message : "isolate", -rte_errno);
}

// One queue each way. The MTU has to be said: DPDK would set a NIC's network device to 1500 otherwise. Frames
// longer than a buffer come in pieces.
Result<void> configure(const SwitchPort& ethdev, std::uint16_t mtu, rte_mempool* pool) {
  const std::uint16_t id = ethdev.ethdev_port_id;
  rte_eth_dev_info info{};
  if (const int code = rte_eth_dev_info_get(id, &info); code != 0)
    return port_failed(ethdev.name, "info", code);
  rte_eth_conf conf{};
  conf.rxmode.mtu = mtu;
  conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
  if (const int code = rte_eth_dev_configure(id, 1, 1, &conf); code != 0)
    return port_failed(ethdev.name, "configure", code);
  rte_eth_rxconf receive = info.default_rxconf;
  receive.offloads = conf.rxmode.offloads;
  if (const int code = rte_eth_rx_queue_setup(id, 0, kSlowPathDescriptors, kAnySocket, &receive, pool);
      code != 0) {
    return port_failed(ethdev.name, "receive queue", code);
  }
  if (const int code = rte_eth_tx_queue_setup(id, 0, kSlowPathDescriptors, kAnySocket, nullptr); code != 0)
    return port_failed(ethdev.name, "transmit queue", code);
  return {};
}

}  // namespace

Result<Engine> Engine::open(const std::string& proxy, std::uint16_t function_count,
                            std::uint16_t unbacked_count, SteeringMode steering) {
  auto facts = read_switch(proxy);
  if (!facts) return pass(facts);
  const auto functions = find_functions(*facts, function_count);
  if (!functions) return pass(functions);
  std::uint16_t mtu = 0;
  if (const int code = rte_eth_dev_get_mtu(facts->uplink.ethdev_port_id, &mtu); code != 0)
    return port_failed(proxy, "MTU", code);

  Engine engine;
  if (auto made = engine.make_pool(1U + function_count); !made) return pass(made);
  if (auto added = engine.add_port(EswitchPort::uplink(), facts->uplink, mtu, steering); !added)
    return pass(added);
  for (std::uint16_t i = 0; i < function_count; ++i) {
    const auto ethdev = *std::ranges::find(facts->ports, (*functions)[i], &SwitchPort::ethdev_port_id);
    if (auto added = engine.add_port(EswitchPort::function(i), ethdev, mtu, steering); !added)
      return pass(added);
  }
  for (std::uint16_t i = 0; i < unbacked_count; ++i) {
    const auto port = EswitchPort::function(static_cast<std::uint16_t>(function_count + i));
    engine.ports_.push_back({port, static_cast<std::uint16_t>(RTE_MAX_ETHPORTS + i)});
  }
  std::vector<std::uint16_t> numbers;
  for (const Port& port : engine.ports_) numbers.push_back(port.ethdev_port_id);
  const std::uint16_t proxy_id = numbers.front();
  PortNumbering number_of = [numbers = std::move(numbers)](EswitchPort port) {
    return numbers.at(port.number());
  };
  std::unique_ptr<Steering> steers;
  if (steering == SteeringMode::kHardware) {
    steers = std::make_unique<TemplateSteering>(proxy_id, std::move(number_of));
  } else {
    steers = std::make_unique<SyncSteering>(proxy_id, std::move(number_of));
  }
  engine.rules_ = std::make_unique<RuleHolder>(std::move(steers));
  return engine;
}

void Engine::close() {
  rules_->clear();
  rules_.reset();  // templates before their port
  for (const Port& port : std::views::reverse(ports_)) {
    if (is_unbacked(port.ethdev_port_id)) continue;
    (void)rte_eth_dev_stop(port.ethdev_port_id);
    (void)rte_eth_dev_close(port.ethdev_port_id);
  }
  ports_.clear();
}

Result<void> Engine::make_pool(std::size_t ethdev_count) {
  const auto buffers = std::max(kSlowPathBuffers, kBuffersPerEthdev * static_cast<unsigned>(ethdev_count));
  slow_path_pool_ =
      rte_pktmbuf_pool_create("berth_slow_path", buffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (slow_path_pool_ != nullptr) return {};
  return fail(Code::kResourceExhausted, "PORT_FAILED",
              fmt::format("packet buffers: {}", rte_strerror(rte_errno)));
}

// With hardware steering every port has queues of its own for the driver's rules, and does not start without.
Result<void> Engine::add_port(EswitchPort port, const SwitchPort& ethdev, std::uint16_t mtu,
                              SteeringMode steering) {
  const std::uint16_t id = ethdev.ethdev_port_id;
  if (port.is_uplink()) {
    if (auto left = leave_to_kernel(ethdev); !left) return left;
  }
  if (auto configured = configure(ethdev, mtu, slow_path_pool_); !configured) return configured;
  if (steering == SteeringMode::kHardware) {
    const TemplatePools pools =
        port.is_uplink() ? TemplatePools() : TemplatePools{.counters = 0, .meters = 0};
    if (auto configured = TemplateSteering::configure(id, pools); !configured) return configured;
  }
  if (const int code = rte_eth_dev_start(id); code != 0) return port_failed(ethdev.name, "start", code);
  ports_.push_back({port, id});
  if (port.is_uplink()) return {};
  // A VM sends to its gateway's MAC, which is not the representor's.
  if (const int code = rte_eth_promiscuous_enable(id); code != 0)
    return port_failed(ethdev.name, "promiscuous", code);
  return {};
}

std::vector<PortState> Engine::read_ports() const {
  std::vector<PortState> states;
  for (const Port& port : ports_) {
    states.push_back({.port = port.port,
                      .ethdev_port_id = port.ethdev_port_id,
                      .is_unbacked = is_unbacked(port.ethdev_port_id)});
  }
  return states;
}

}  // namespace berth::dataplane::dpdk
