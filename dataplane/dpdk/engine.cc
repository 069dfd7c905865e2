#include "dataplane/dpdk/engine.h"

#include "dataplane/dpdk/sync_steering.h"
#include "dataplane/dpdk/template_steering.h"

#include <ranges>
#include <utility>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace berth::dataplane::dpdk {
namespace {

constexpr std::uint16_t kSlowPathDescriptors = 256;
constexpr unsigned kSlowPathBuffers = 4095;
constexpr unsigned kAnySocket = static_cast<unsigned>(SOCKET_ID_ANY);

bool is_unbacked(std::uint16_t ethdev_port_id) {
  return ethdev_port_id >= RTE_MAX_ETHPORTS;
}

std::unexpected<Error> port_failed(const std::string& ethdev, std::string_view what, int code) {
  return fail(Code::kUnavailable, "PORT_FAILED",
              fmt::format("{}: {}: {}", ethdev, what, rte_strerror(-code)));
}

}  // namespace

Result<Engine> Engine::open(const std::string& proxy, std::uint16_t function_count,
                            std::uint16_t unbacked_count, SteeringMode steering) {
  Engine engine;
  engine.slow_path_pool_ = rte_pktmbuf_pool_create("berth_slow_path", kSlowPathBuffers, 0, 0,
                                                   RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (engine.slow_path_pool_ == nullptr) {
    return fail(Code::kResourceExhausted, "PORT_FAILED",
                fmt::format("packet buffers: {}", rte_strerror(rte_errno)));
  }
  if (auto added = engine.add_port(EswitchPort::uplink(), proxy, steering); !added) return pass(added);
  for (std::uint16_t i = 0; i < function_count; ++i) {
    auto added =
        engine.add_port(EswitchPort::function(i), fmt::format("{}_representor_vf{}", proxy, i), steering);
    if (!added) return pass(added);
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

Result<void> Engine::add_port(EswitchPort port, const std::string& ethdev, SteeringMode steering) {
  std::uint16_t id = 0;
  if (const int code = rte_eth_dev_get_port_by_name(ethdev.c_str(), &id); code != 0) {
    return port_failed(ethdev, "no such ethdev", code);
  }
  const rte_eth_conf conf{};
  if (const int code = rte_eth_dev_configure(id, 1, 1, &conf); code != 0)
    return port_failed(ethdev, "configure", code);
  if (const int code =
          rte_eth_rx_queue_setup(id, 0, kSlowPathDescriptors, kAnySocket, nullptr, slow_path_pool_);
      code != 0) {
    return port_failed(ethdev, "receive queue", code);
  }
  if (const int code = rte_eth_tx_queue_setup(id, 0, kSlowPathDescriptors, kAnySocket, nullptr); code != 0) {
    return port_failed(ethdev, "transmit queue", code);
  }
  if (port.is_uplink() && steering == SteeringMode::kHardware) {
    if (auto configured = TemplateSteering::configure(id, {}); !configured) return configured;
  }
  if (const int code = rte_eth_dev_start(id); code != 0) return port_failed(ethdev, "start", code);
  ports_.push_back({port, id});
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
