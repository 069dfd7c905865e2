#include "dataplane/dpdk/engine.h"

#include "dataplane/dpdk/lowering.h"

#include <cerrno>
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

std::unexpected<Error> port_failed(const std::string& ethdev, std::string_view what, int code) {
  return fail(Code::kUnavailable, "PORT_FAILED",
              fmt::format("{}: {}: {}", ethdev, what, rte_strerror(-code)));
}

// What rte_flow said about a rule. A full table may have room later; anything else is a verdict.
std::unexpected<Error> rule_refused(int code, const rte_flow_error& why) {
  const std::string message =
      fmt::format("{} ({})", why.message != nullptr ? why.message : "refused", rte_strerror(code));
  if (code == ENOMEM || code == ENOSPC || code == EAGAIN)
    return fail(Code::kResourceExhausted, "ESWITCH_FULL", message);
  return fail(Code::kHardwareRejected, "RULE_REFUSED", message);
}

}  // namespace

Result<Engine> Engine::open(const std::string& proxy, std::uint16_t function_count) {
  Engine engine;
  engine.slow_path_pool_ = rte_pktmbuf_pool_create("berth_slow_path", kSlowPathBuffers, 0, 0,
                                                   RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (engine.slow_path_pool_ == nullptr) {
    return fail(Code::kResourceExhausted, "PORT_FAILED",
                fmt::format("packet buffers: {}", rte_strerror(rte_errno)));
  }
  if (auto added = engine.add_port(EswitchPort::uplink(), proxy); !added) return pass(added);
  for (std::uint16_t i = 0; i < function_count; ++i) {
    auto added = engine.add_port(EswitchPort::function(i), fmt::format("{}_representor_vf{}", proxy, i));
    if (!added) return pass(added);
  }
  return engine;
}

void Engine::close() {
  for (const auto& entry : held_ | std::views::values) {
    rte_flow_error ignored{};
    (void)rte_flow_destroy(number_of(EswitchPort::uplink()), entry.flow, &ignored);  // the port goes anyway
  }
  held_.clear();
  for (const Port& port : std::views::reverse(ports_)) {
    (void)rte_eth_dev_stop(port.ethdev_port_id);
    (void)rte_eth_dev_close(port.ethdev_port_id);
  }
  ports_.clear();
}

Result<void> Engine::add_port(EswitchPort port, const std::string& ethdev) {
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
  if (const int code = rte_eth_dev_start(id); code != 0) return port_failed(ethdev, "start", code);
  ports_.push_back({port, id});
  return {};
}

Result<void> Engine::apply(const RuleChange& change) {
  if (const auto* add_rule = std::get_if<AddRule>(&change)) return add(add_rule->rule);
  return remove(std::get<RemoveRule>(change).key);
}

Result<void> Engine::add(const Rule& rule) {
  const auto held = held_.find(rule.key);
  if (held == held_.end()) return create(rule);
  if (held->second.rule.actions == rule.actions) {
    held->second.rule = rule;
    return {};
  }
  // The device knows no two rules of one key (HP-05): the old one has to go first, and comes back if the
  // new one is refused.
  const Rule old = held->second.rule;
  if (auto removed = remove(rule.key); !removed) return removed;
  auto created = create(rule);
  if (!created) (void)create(old);  // it was there a moment ago; should it fail, the key is not held any more
  return created;
}

Result<void> Engine::create(const Rule& rule) {
  const PortNumbering numbering = [this](EswitchPort port) { return number_of(port); };
  const LoweredRule lowered(rule, numbering);
  rte_flow_error why{};
  rte_flow* flow = rte_flow_create(number_of(EswitchPort::uplink()), &lowered.attr(), lowered.items(),
                                   lowered.actions(), &why);
  if (flow == nullptr) return rule_refused(rte_errno, why);
  held_.emplace(rule.key, Held{rule, flow});
  return {};
}

Result<void> Engine::remove(const RuleKey& key) {
  const auto held = held_.find(key);
  if (held == held_.end()) return {};
  rte_flow_error why{};
  const int code = rte_flow_destroy(number_of(EswitchPort::uplink()), held->second.flow, &why);
  if (code != 0) return rule_refused(-code, why);
  held_.erase(held);
  return {};
}

Result<std::vector<HeldRule>> Engine::read_rules(std::optional<EswitchPort> owner) const {
  std::vector<HeldRule> rules;
  for (const auto& [key, held] : held_) {
    if (owner && held.rule.owner != *owner) continue;
    HeldRule read{.rule = held.rule};
    if (held.rule.actions.count) {
      rte_flow_query_count count{};
      const rte_flow_action what[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT, .conf = nullptr},
                                      {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
      rte_flow_error why{};
      const int code = rte_flow_query(number_of(EswitchPort::uplink()), held.flow, what, &count, &why);
      if (code != 0) return rule_refused(-code, why);
      read.packets = count.hits;
      read.bytes = count.bytes;
    }
    rules.push_back(std::move(read));
  }
  return rules;
}

std::vector<PortState> Engine::read_ports() const {
  std::vector<PortState> states;
  for (const Port& port : ports_) {
    states.push_back({.port = port.port, .ethdev_port_id = port.ethdev_port_id});
  }
  return states;
}

}  // namespace berth::dataplane::dpdk
