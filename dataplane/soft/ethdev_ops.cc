#include "dataplane/soft/ethdev_ops.h"

#include "dataplane/soft/flow_ops.h"
#include "dataplane/soft/meter_ops.h"
#include "dataplane/soft/rule_text.h"
#include "dataplane/soft/soft_switch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstring>

namespace berth::soft {
namespace {

constexpr std::uint32_t kMaxPacketBytes = 65535;

EthdevPort& port_of(const rte_eth_dev* ethdev) {
  return *static_cast<EthdevPort*>(ethdev->data->dev_private);
}

SwitchPort& switch_port(EthdevPort& port) {
  return port.owner->port(port.index);
}

// Into buffers of the application's. Null, and counted by ethdev (rx_nombuf), when it has none left.
rte_mbuf* copy_for(EthdevPort& port, rte_mbuf* packet) {
  rte_mbuf* copy = rte_pktmbuf_copy(packet, port.copy_to, 0, UINT32_MAX);
  rte_pktmbuf_free(packet);
  if (copy == nullptr) ++port.ethdev->data->rx_mbuf_alloc_failed;
  return copy;
}

std::uint16_t receive(void* queue, rte_mbuf** packets, std::uint16_t count) {
  EthdevPort& port = *static_cast<EthdevPort*>(queue);
  SwitchPort& source = switch_port(port);
  const unsigned taken =
      rte_ring_sc_dequeue_burst(source.to_agent.get(), reinterpret_cast<void**>(packets), count, nullptr);
  std::uint16_t given = 0;
  for (unsigned i = 0; i < taken; ++i) {
    rte_mbuf* packet = port.copy_to == nullptr ? packets[i] : copy_for(port, packets[i]);
    if (packet == nullptr) continue;
    packet->port = port.ethdev->data->port_id;
    source.counters.agent_received.add(packet->pkt_len);
    packets[given++] = packet;
  }
  return given;
}

std::uint16_t transmit(void* queue, rte_mbuf** packets, std::uint16_t count) {
  SwitchPort& target = switch_port(*static_cast<EthdevPort*>(queue));
  std::uint16_t sent = 0;
  while (sent < count) {
    // A queued packet may be gone before we read its length again: count first.
    std::array<std::uint64_t, kBurst + 1> bytes_of_first{};
    const std::uint16_t piece = std::min<std::uint16_t>(count - sent, kBurst);
    for (std::uint16_t i = 0; i < piece; ++i) {
      bytes_of_first[i + 1U] = bytes_of_first[i] + packets[sent + i]->pkt_len;
    }
    const unsigned taken = rte_ring_sp_enqueue_burst(
        target.from_agent.get(), reinterpret_cast<void**>(packets + sent), piece, nullptr);
    target.counters.agent_sent.add(taken, bytes_of_first[taken]);
    sent += static_cast<std::uint16_t>(taken);
    if (taken < piece) break;
  }
  if (sent < count) target.counters.agent_refused.add(count - sent, 0);
  return sent;
}

int configure(rte_eth_dev* /*ethdev*/) {
  return 0;
}

int start(rte_eth_dev* ethdev) {
  EthdevPort& port = port_of(ethdev);
  if (port.is_proxy()) {
    if (const int failed = port.owner->start(); failed != 0) return failed;
  } else if (!port.owner->is_started()) {
    return -EAGAIN;  // HP-42: the proxy first
  } else if (port.owner->queues().are_configured() && !port.has_queues) {
    return -EINVAL;  // HP-42: with hardware steering every port has queues
  }
  port.is_started = true;
  switch_port(port).agent_listens.store(true, std::memory_order_relaxed);
  ethdev->data->dev_link.link_status = RTE_ETH_LINK_UP;
  return 0;
}

int stop(rte_eth_dev* ethdev) {
  EthdevPort& port = port_of(ethdev);
  if (port.is_proxy()) {
    const bool is_used = std::ranges::any_of(
        port.owner->ethdevs(), [](const auto& other) { return !other->is_proxy() && other->is_started; });
    if (is_used) return -EBUSY;  // HP-42: the representors first
    port.owner->stop();
  } else if (port.owner->steering() == Steering::kSoftware) {
    port.owner->rules().flush_of(port.index);
  }
  port.is_started = false;
  switch_port(port).agent_listens.store(false, std::memory_order_relaxed);
  ethdev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
  return 0;
}

int close(rte_eth_dev* ethdev) {
  EthdevPort& port = port_of(ethdev);
  if (port.is_proxy()) port.owner->stop();
  port.is_started = false;
  port.owner->forget_ethdev(port);
  return 0;
}

int infos_get(rte_eth_dev* ethdev, rte_eth_dev_info* info) {
  const EthdevPort& port = port_of(ethdev);
  info->max_mac_addrs = 1;
  info->max_rx_pktlen = kMaxPacketBytes;
  info->max_rx_queues = 1;
  info->max_tx_queues = 1;
  info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
  info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;
  info->switch_info.name = port.owner->name().c_str();
  info->switch_info.domain_id = port.owner->domain();
  // As with mlx5: the representor id, whose meaning representor_info_get() tells, or the uplink.
  info->switch_info.port_id = port.is_proxy() ? UINT16_MAX : ethdev->data->representor_id;
  return 0;
}

// Packets are handed over in the buffers that they came in. An application whose buffers have a private area
// (Open vSwitch keeps its own packet in there) would write past the end of those: it gets copies in its own.
int rx_queue_setup(rte_eth_dev* ethdev, std::uint16_t queue, std::uint16_t, unsigned, const rte_eth_rxconf*,
                   rte_mempool* pool) {
  ethdev->data->rx_queues[queue] = ethdev->data->dev_private;
  port_of(ethdev).copy_to = pool != nullptr && rte_pktmbuf_priv_size(pool) != 0 ? pool : nullptr;
  return 0;
}

int tx_queue_setup(rte_eth_dev* ethdev, std::uint16_t queue, std::uint16_t, unsigned, const rte_eth_txconf*) {
  ethdev->data->tx_queues[queue] = ethdev->data->dev_private;
  return 0;
}

// A port has a link when there is somebody behind it: a vhost-user guest that is connected, a carrier.
int link_update(rte_eth_dev* ethdev, int /*wait*/) {
  rte_eth_link behind{};
  const bool is_known = rte_eth_link_get_nowait(switch_port(port_of(ethdev)).backing, &behind) == 0;
  const bool is_up = ethdev->data->dev_started != 0 && is_known && behind.link_status == RTE_ETH_LINK_UP;
  rte_eth_link link{};
  link.link_speed = RTE_ETH_SPEED_NUM_10G;
  link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
  link.link_status = is_up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
  return rte_eth_linkstatus_set(ethdev, &link);
}

// The representor's own traffic: what the agent took and gave. The port's whole traffic is in xstats.
int stats_get(rte_eth_dev* ethdev, rte_eth_stats* stats) {
  const PortCounters& counters = switch_port(port_of(ethdev)).counters;
  stats->ipackets = counters.agent_received.packets();
  stats->ibytes = counters.agent_received.bytes();
  stats->imissed = counters.miss_dropped.packets();
  stats->opackets = counters.agent_sent.packets();
  stats->obytes = counters.agent_sent.bytes();
  stats->oerrors = counters.agent_refused.packets();
  return 0;
}

struct Statistic {
  const char* name;
  PacketCounter PortCounters::* counter;
};
constexpr std::array kStatistics{
    Statistic{"function_received", &PortCounters::received},
    Statistic{"function_sent", &PortCounters::sent},
    Statistic{"function_send_dropped", &PortCounters::send_dropped},
    Statistic{"missed", &PortCounters::missed},
    Statistic{"miss_dropped", &PortCounters::miss_dropped},
    Statistic{"walked", &PortCounters::walked},
    Statistic{"malformed", &PortCounters::malformed},
    Statistic{"oversized", &PortCounters::oversized},
    Statistic{"unbacked_dropped", &PortCounters::unbacked_dropped},
};

// Packets of each statistic, then bytes of each.
int xstats_get(rte_eth_dev* ethdev, rte_eth_xstat* values, unsigned count) {
  constexpr unsigned kCount = 2 * kStatistics.size();
  if (count < kCount || values == nullptr) return kCount;
  const PortCounters& counters = switch_port(port_of(ethdev)).counters;
  for (unsigned i = 0; i < kStatistics.size(); ++i) {
    const PacketCounter& counter = counters.*kStatistics[i].counter;
    values[2 * i] = {.id = 2 * i, .value = counter.packets()};
    values[2 * i + 1] = {.id = 2 * i + 1, .value = counter.bytes()};
  }
  return kCount;
}

int xstats_get_names(rte_eth_dev*, rte_eth_xstat_name* names, unsigned count) {
  constexpr unsigned kCount = 2 * kStatistics.size();
  if (count < kCount || names == nullptr) return kCount;
  for (unsigned i = 0; i < kStatistics.size(); ++i) {
    std::snprintf(names[2 * i].name, sizeof(names[0].name), "%s_packets", kStatistics[i].name);
    std::snprintf(names[2 * i + 1].name, sizeof(names[0].name), "%s_bytes", kStatistics[i].name);
  }
  return kCount;
}

// All rules with their counters, for whoever looks at the switch from outside its application (DPDK's
// telemetry).
int priv_dump(rte_eth_dev* ethdev, FILE* file) {
  SoftSwitch& owner = *port_of(ethdev).owner;
  owner.rules().view(nullptr, [&](const RuleView& rule) {
    std::fprintf(file, "%s", format_rule(rule, owner.port_map()).c_str());
    if (rule.actions.count)
      std::fprintf(file, " # packets %" PRIu64 " bytes %" PRIu64, rule.counter.packets, rule.counter.bytes);
    std::fprintf(file, "\n");
  });
  return 0;
}

int representor_info_get(rte_eth_dev* ethdev, rte_eth_representor_info* info) {
  const auto& ethdevs = port_of(ethdev).owner->ethdevs();
  if (info == nullptr || ethdevs.size() < 2) return ethdevs.size() < 2 ? 0 : 1;
  info->controller = 0;
  info->pf = 0;
  if (info->nb_ranges_alloc == 0) return 1;
  info->nb_ranges = 1;
  rte_eth_representor_range& range = info->ranges[0];
  range.type = RTE_ETH_REPRESENTOR_VF;
  range.controller = 0;
  range.pf = 0;
  range.vf = 0;
  range.id_base = 0;
  range.id_end = static_cast<std::uint32_t>(ethdevs.size() - 2);
  std::snprintf(range.name, sizeof(range.name), "vf");
  return 1;
}

int accept(rte_eth_dev*) {
  return 0;
}  // packets of the slow path are never filtered by address
int accept_mac(rte_eth_dev*, rte_ether_addr*) {
  return 0;
}
// A representor's MTU is that of its function's packets; the wire's is the wire's business.
int set_mtu(rte_eth_dev* ethdev, std::uint16_t mtu) {
  EthdevPort& port = port_of(ethdev);
  if (!port.is_proxy()) switch_port(port).max_frame_bytes = std::uint32_t{mtu} + RTE_ETHER_HDR_LEN;
  return 0;
}

const eth_dev_ops kOps = [] {
  eth_dev_ops ops{};
  ops.dev_configure = &configure;
  ops.dev_start = &start;
  ops.dev_stop = &stop;
  ops.dev_close = &close;
  ops.dev_infos_get = &infos_get;
  ops.rx_queue_setup = &rx_queue_setup;
  ops.tx_queue_setup = &tx_queue_setup;
  ops.link_update = &link_update;
  ops.promiscuous_enable = &accept;
  ops.promiscuous_disable = &accept;
  ops.allmulticast_enable = &accept;
  ops.allmulticast_disable = &accept;
  ops.mac_addr_set = &accept_mac;
  ops.mtu_set = &set_mtu;
  ops.stats_get = &stats_get;
  ops.xstats_get = &xstats_get;
  ops.xstats_get_names = &xstats_get_names;
  ops.representor_info_get = &representor_info_get;
  ops.eth_dev_priv_dump = &priv_dump;
  ops.flow_ops_get = &flow_ops_get;
  ops.mtr_ops_get = &meter_ops_get;
  return ops;
}();

}  // namespace

void set_ethdev_ops(rte_eth_dev& ethdev) {
  ethdev.dev_ops = &kOps;
  ethdev.rx_pkt_burst = &receive;
  ethdev.tx_pkt_burst = &transmit;
}

bool is_ours(const rte_eth_dev& ethdev) {
  return ethdev.dev_ops == &kOps;
}

}  // namespace berth::soft
