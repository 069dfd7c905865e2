// Rules and ports of one DPDK eSwitch, by synchronous rte_flow. Blocking, single-threaded: every call
// comes from the thread that started EAL. Knows nothing of Asio; embedded_eswitch.h brings it there.
#pragma once

#include "base/error.h"
#include "dataplane/dpdk/representors.h"
#include "dataplane/dpdk/rule_holder.h"
#include "dataplane/eswitch.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct rte_mempool;

namespace berth::dataplane::dpdk {

class Engine {
 public:
  // `proxy` is the ethdev that stands for the uplink and takes transfer rules; function i is the representor
  // of VF i in its switch domain (representors.h). Configures and starts them all: proxy first (HP-42).
  // Behind them come `unbacked_count` functions of the software eSwitch that have no ethdev
  // (dataplane/soft/devargs.h).
  //   UNAVAILABLE (PORT_FAILED), RESOURCE_EXHAUSTED (PORT_FAILED: packet buffers), and errors of
  //   read_switch(), find_functions() and TemplateSteering::configure()
  static Result<Engine> open(const std::string& proxy, std::uint16_t function_count,
                             std::uint16_t unbacked_count, SteeringMode steering);
  Engine(Engine&&) = default;
  Engine& operator=(Engine&&) = delete;
  // Destroys the rules and stops the ports, representors first.
  void close();

  RuleHolder& rules() { return *rules_; }
  std::vector<PortState> read_ports() const;

 private:
  struct Port {
    EswitchPort port;
    std::uint16_t ethdev_port_id = 0;  // RTE_MAX_ETHPORTS and more: of an unbacked one
  };

  Engine() = default;
  Result<void> make_pool(std::size_t ethdev_count);
  Result<void> add_port(EswitchPort port, const SwitchPort& ethdev, std::uint16_t mtu, SteeringMode steering);

  std::vector<Port> ports_;  // by EswitchPort::number()
  rte_mempool* slow_path_pool_ = nullptr;
  std::unique_ptr<RuleHolder> rules_;
};

}  // namespace berth::dataplane::dpdk
