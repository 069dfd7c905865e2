#include "tests/unit/soft/switch_harness.h"

#include "tests/unit/soft/eal.h"
#include "tests/unit/soft/flow_text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <gtest/gtest.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_service.h>

namespace berth::soft::test {
namespace {

constexpr unsigned kRing = 1024;

void require(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what + ": " + rte_strerror(rte_errno));
}

Bytes take_bytes(rte_mbuf* packet) {
  Bytes bytes;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    const auto* data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
    bytes.insert(bytes.end(), data, data + segment->data_len);
  }
  rte_pktmbuf_free(packet);
  return bytes;
}

}  // namespace

SwitchHarness::SwitchHarness(std::size_t functions, const std::string& more_arguments) {
  start_eal();
  static int instances = 0;
  const std::string number = std::to_string(instances++);
  name_ = "net_berth" + number;
  pool_ = rte_pktmbuf_pool_create(("harness" + number).c_str(), 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  require(pool_ != nullptr, "pool");
  std::string arguments;
  for (std::size_t i = 0; i <= functions; ++i) {
    const std::string port = number + "_" + std::to_string(i);
    Wire wire;
    wire.in = rte_ring_create(("in" + port).c_str(), kRing, 0, 0);
    wire.out = rte_ring_create(("out" + port).c_str(), kRing, 0, 0);
    require(wire.in != nullptr && wire.out != nullptr, "ring");
    const int id = rte_eth_from_rings(("w" + port).c_str(), &wire.in, 1, &wire.out, 1, 0);
    require(id >= 0, "net_ring");
    char backing[RTE_ETH_NAME_MAX_LEN];
    rte_eth_dev_get_name_by_port(static_cast<std::uint16_t>(id), backing);
    wire.backing = backing;
    arguments += (i == 0 ? "uplink=" : ",function=") + wire.backing;
    wires_.push_back(wire);
  }
  require(rte_vdev_init(name_.c_str(), (arguments + more_arguments).c_str()) == 0, "net_berth");
  for (std::size_t i = 0; i <= functions; ++i) {
    const std::string port = i == 0 ? name_ : name_ + "_representor_vf" + std::to_string(i - 1);
    std::uint16_t id = 0;
    require(rte_eth_dev_get_port_by_name(port.c_str(), &id) == 0, port);
    ethdevs_.push_back(id);
    start_port(id);
  }
  require(rte_service_get_by_name((name_ + "_switch").c_str(), &service_) == 0, "service");
}

SwitchHarness::~SwitchHarness() {
  stop_ports();
  rte_vdev_uninit(name_.c_str());
  for (const Wire& wire : wires_) {
    for (rte_ring* ring : {wire.in, wire.out}) {
      void* packet = nullptr;
      while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    }
    rte_vdev_uninit(wire.backing.c_str());
    rte_ring_free(wire.in);
    rte_ring_free(wire.out);
  }
  // Every packet came back: nothing leaks in the switch.
  EXPECT_EQ(rte_mempool_in_use_count(pool_), 0U);
  rte_mempool_free(pool_);
}

void SwitchHarness::stop_ports() {
  for (std::size_t i = ethdevs_.size(); i-- > 0;) rte_eth_dev_stop(ethdevs_[i]);
}

void SwitchHarness::start_ports() {
  for (const std::uint16_t id : ethdevs_) require(rte_eth_dev_start(id) == 0, "start");
}

void SwitchHarness::start_port(std::uint16_t id) {
  const rte_eth_conf conf{};
  require(rte_eth_dev_configure(id, 1, 1, &conf) == 0, "configure");
  require(rte_eth_rx_queue_setup(id, 0, 256, 0, nullptr, pool_) == 0, "rx queue");
  require(rte_eth_tx_queue_setup(id, 0, 256, 0, nullptr) == 0, "tx queue");
  require(rte_eth_dev_start(id) == 0, "start");
}

std::string SwitchHarness::with_ids(std::string rule) const {
  const auto replace = [&rule](const std::string& from, const std::string& to) {
    for (std::size_t at = rule.find(from); at != std::string::npos; at = rule.find(from, at + to.size())) {
      rule.replace(at, from.size(), to);
    }
  };
  for (std::size_t i = ethdevs_.size(); i-- > 1;)
    replace("vf" + std::to_string(i - 1), std::to_string(ethdevs_[i]));
  replace("uplink", std::to_string(ethdevs_[0]));
  replace("from:", "represented_port ethdev_port_id is ");
  replace("to:", "represented_port ethdev_port_id ");
  return rule;
}

rte_flow* SwitchHarness::create(const std::string& rule) {
  const FlowText flow = parse_flow("transfer " + with_ids(rule));
  rte_flow_error error{};
  rte_flow* created =
      rte_flow_create(ethdevs_[0], &flow.attr, flow.pattern.data(), flow.actions.data(), &error);
  EXPECT_NE(created, nullptr) << rule << ": " << (error.message != nullptr ? error.message : "?");
  return created;
}

std::string SwitchHarness::refusal(const std::string& rule) {
  const FlowText flow = parse_flow("transfer " + with_ids(rule));
  rte_flow_error error{};
  rte_flow* created =
      rte_flow_create(ethdevs_[0], &flow.attr, flow.pattern.data(), flow.actions.data(), &error);
  if (created == nullptr) return std::string(strerrorname_np(rte_errno)) + ": " + error.message;
  destroy(created);
  return "";
}

rte_flow_query_count SwitchHarness::count(rte_flow* rule, bool reset) {
  rte_flow_query_count value{};
  value.reset = reset ? 1 : 0;
  const rte_flow_action query[] = {{RTE_FLOW_ACTION_TYPE_COUNT, nullptr},
                                   {RTE_FLOW_ACTION_TYPE_END, nullptr}};
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_query(ethdevs_[0], rule, query, &value, &error), 0);
  return value;
}

void SwitchHarness::destroy(rte_flow* rule) {
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_destroy(ethdevs_[0], rule, &error), 0);
}

std::string SwitchHarness::dump() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file = open_memstream(&text, &size);
  rte_flow_error error{};
  EXPECT_EQ(rte_flow_dev_dump(ethdevs_[0], nullptr, file, &error), 0);
  std::fclose(file);
  std::string result(text, size);
  std::free(text);
  return result;
}

rte_mbuf* SwitchHarness::mbuf_of(const Bytes& packet) {
  rte_mbuf* first = nullptr;
  for (std::size_t at = 0; first == nullptr || at < packet.size();) {
    rte_mbuf* made = rte_pktmbuf_alloc(pool_);
    require(made != nullptr, "no packet buffer is left");
    const std::size_t size = std::min<std::size_t>(packet.size() - at, rte_pktmbuf_tailroom(made));
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at), size,
                reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(made, static_cast<std::uint16_t>(size))));
    at += size;
    if (first == nullptr) {
      first = made;
    } else {
      require(rte_pktmbuf_chain(first, made) == 0, "too many pieces");
    }
  }
  return first;
}

void SwitchHarness::wire_in(PortIndex port, const Bytes& packet) {
  require(rte_ring_enqueue(wires_.at(port).in, mbuf_of(packet)) == 0, "wire is full");
}

void SwitchHarness::agent_in(PortIndex port, const Bytes& packet) {
  rte_mbuf* made = mbuf_of(packet);
  require(rte_eth_tx_burst(ethdevs_.at(port), 0, &made, 1) == 1, "representor is full");
}

std::vector<Bytes> SwitchHarness::wire_out(PortIndex port) {
  std::vector<Bytes> packets;
  void* packet = nullptr;
  while (rte_ring_dequeue(wires_.at(port).out, &packet) == 0)
    packets.push_back(take_bytes(static_cast<rte_mbuf*>(packet)));
  return packets;
}

std::vector<Bytes> SwitchHarness::agent_out(PortIndex port) {
  std::vector<Bytes> packets;
  rte_mbuf* burst[32];
  while (true) {
    const std::uint16_t received = rte_eth_rx_burst(ethdevs_.at(port), 0, burst, 32);
    if (received == 0) return packets;
    for (std::uint16_t i = 0; i < received; ++i) {
      EXPECT_EQ(burst[i]->port, ethdevs_.at(port));
      packets.push_back(take_bytes(burst[i]));
    }
  }
}

std::uint32_t SwitchHarness::run_once() {
  const int result = rte_service_run_iter_on_app_lcore(service_, 1);
  EXPECT_TRUE(result == 0 || result == -EAGAIN) << result;
  return result == 0 ? 1 : 0;
}

void SwitchHarness::run() {
  for (int i = 0; i < 64; ++i) run_once();
}

std::uint64_t SwitchHarness::xstat(PortIndex port, const std::string& name) const {
  std::uint64_t id = 0;
  std::uint64_t value = 0;
  EXPECT_EQ(rte_eth_xstats_get_id_by_name(ethdevs_.at(port), name.c_str(), &id), 0) << name;
  EXPECT_EQ(rte_eth_xstats_get_by_id(ethdevs_.at(port), &id, &value, 1), 1);
  return value;
}

}  // namespace berth::soft::test
