// How long a packet is in the software eSwitch, with the rules at rest and while 10,000 a second are changed.
//
//   bench_latency [--json] [SECONDS]     seconds in all, default 10; one line of JSON
//
// One thread is the worker: it puts a burst of 32 packets of 1000 flows on a VM's wire, runs one round, and
// takes what came out of the uplink; a packet's latency is from the one moment to the other, by the clock, so
// that whatever stops the worker counts. Another thread adds and removes mappings of the same VPC meanwhile.
// Rounds at rest and rounds of change take turns.
#include "dataplane/soft/switch_port.h"
#include "tests/bench/bench_pipeline.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <rte_service.h>

namespace berth::soft::bench {
namespace {

constexpr std::uint32_t kFlows = 1000;
constexpr std::uint32_t kChangesPerMillisecond = 10;
constexpr int kTurns = 5;

void require(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what + ": " + rte_strerror(rte_errno));
}

// Changes rules at the pace while it lives: the mappings of addresses that no packet goes to.
class Churn {
 public:
  explicit Churn(dataplane::dpdk::Steering& steering) : steering_(steering), thread_([this] { run(); }) {}
  ~Churn() {
    stop_ = true;
    thread_.join();
  }
  Churn(const Churn&) = delete;
  Churn& operator=(const Churn&) = delete;
  std::uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }

 private:
  void run() {
    // Not on the worker's core, which new threads inherit.
    cpu_set_t all;
    CPU_ZERO(&all);
    for (unsigned cpu = 0; cpu < std::thread::hardware_concurrency(); ++cpu) CPU_SET(cpu, &all);
    if (std::thread::hardware_concurrency() > 1) CPU_CLR(1, &all);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(all), &all);

    std::deque<Change> installed;
    auto next = std::chrono::steady_clock::now();
    for (std::uint32_t flow = 2 * kFlows; !stop_; std::this_thread::sleep_until(next)) {
      next += std::chrono::milliseconds(1);
      for (std::uint32_t i = 0; i < kChangesPerMillisecond; ++i) {
        if (installed.size() < 500) {
          const dataplane::Rule rule = mapping_rule(flow++ % 1'000'000 + 2 * kFlows);
          installed.push_back({rule, install(steering_, rule)});
        } else {
          destroy(installed.front());
          installed.pop_front();
        }
        changes_.fetch_add(1, std::memory_order_relaxed);
      }
    }
    for (const Change& one : installed) destroy(one);
  }
  struct Change {
    dataplane::Rule rule;
    dataplane::dpdk::InstalledRule installed;
  };
  void destroy(const Change& one) {
    require(steering_.destroy(one.installed, one.rule).has_value(), "destroy");
  }

  dataplane::dpdk::Steering& steering_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> changes_ = 0;
  std::thread thread_;
};

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};

class Bench {
 public:
  Bench() {
    const std::string prefix = "--file-prefix=berth-latency-" + std::to_string(getpid());
    const std::string core = std::thread::hardware_concurrency() > 1 ? "--lcores=0@1" : "--lcores=0";
    std::vector<std::string> words{"bench",       "--no-huge", "-m",
                                   "256",         "--no-pci",  "--no-telemetry",
                                   "--no-shconf", core,        "--log-level=lib.eal:error",
                                   prefix};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    require(rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0, "EAL");
    pool_ = rte_pktmbuf_pool_create("packets", 4095, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    require(pool_ != nullptr, "pool");
    std::string arguments_of_switch;
    for (const char* name : {"uplink", "function"}) {
      Wire& wire = name[0] == 'u' ? uplink_ : vm_;
      wire.in = rte_ring_create((std::string(name) + "_in").c_str(), 256, 0, 0);
      wire.out = rte_ring_create((std::string(name) + "_out").c_str(), 256, 0, 0);
      require(wire.in != nullptr && wire.out != nullptr, "ring");
      const int id = rte_eth_from_rings(name, &wire.in, 1, &wire.out, 1, 0);
      require(id >= 0, "net_ring");
      std::array<char, RTE_ETH_NAME_MAX_LEN> backing{};
      rte_eth_dev_get_name_by_port(static_cast<std::uint16_t>(id), backing.data());
      arguments_of_switch += (name[0] == 'u' ? "" : ",") + std::string(name) + "=" + backing.data();
    }
    require(rte_vdev_init("net_berth0", arguments_of_switch.c_str()) == 0, "net_berth");
    require(rte_eth_dev_get_port_by_name("net_berth0", &ports_.uplink) == 0, "proxy");
    require(rte_eth_dev_get_port_by_name("net_berth0_representor_vf0", &ports_.vm) == 0, "representor");
    for (const std::uint16_t id : {ports_.uplink, ports_.vm}) {
      const rte_eth_conf conf{};
      require(rte_eth_dev_configure(id, 1, 1, &conf) == 0, "configure");
      require(rte_eth_rx_queue_setup(id, 0, 256, 0, nullptr, pool_) == 0, "rx queue");
      require(rte_eth_tx_queue_setup(id, 0, 256, 0, nullptr) == 0, "tx queue");
      require(rte_eth_dev_start(id) == 0, "start");
    }
    steering_.emplace(ports_.uplink, numbering(ports_));
    for (const dataplane::Rule& rule : host_rules(kFlows)) install(*steering_, rule);
    require(rte_service_get_by_name("net_berth0_switch", &service_) == 0, "service");
    packets_ = encap_packets(kFlows);
  }

  int run(double seconds) {
    std::vector<Percentiles> rest;
    std::vector<Percentiles> change;
    std::uint64_t changes = 0;
    const double each = seconds / (2 * kTurns);
    (void)measure(0.2);  // warms up
    for (int turn = 0; turn < kTurns; ++turn) {
      rest.push_back(measure(each));
      const Churn churn(*steering_);
      change.push_back(measure(each));
      changes += churn.changes();
    }
    const Percentiles at_rest = median(rest);
    const Percentiles changing = median(change);
    std::printf(
        "{\"flows\":%u,\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p50_ns_changing\":%.0f,\"p99_ns_changing\":%.0f,"
        "\"changes_per_s\":%.0f,\"p99_growth\":%.3f}\n",
        kFlows, at_rest.p50, at_rest.p99, changing.p50, changing.p99,
        static_cast<double>(changes) / (each * kTurns), changing.p99 / at_rest.p99);
    return 0;
  }

 private:
  struct Wire {
    rte_ring* in = nullptr;
    rte_ring* out = nullptr;
  };

  // Latencies of bursts: all packets of one come out together.
  Percentiles measure(double seconds) {
    std::vector<std::uint64_t> ticks;
    const std::uint64_t end =
        rte_rdtsc() + static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
    while (rte_rdtsc() < end) {
      std::array<rte_mbuf*, kBurst> burst{};
      require(rte_pktmbuf_alloc_bulk(pool_, burst.data(), kBurst) == 0, "packets");
      for (rte_mbuf* packet : burst) {
        const std::vector<std::uint8_t>& bytes = packets_[next_flow_++ % kFlows];
        std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(bytes.size())), bytes.data(),
                    bytes.size());
      }
      const std::uint64_t start = rte_rdtsc();
      rte_ring_enqueue_bulk(vm_.in, reinterpret_cast<void**>(burst.data()), kBurst, nullptr);
      rte_service_run_iter_on_app_lcore(service_, 0);
      const unsigned out =
          rte_ring_dequeue_burst(uplink_.out, reinterpret_cast<void**>(burst.data()), kBurst, nullptr);
      ticks.push_back(rte_rdtsc() - start);
      require(out == kBurst, "a packet is missing");
      rte_pktmbuf_free_bulk(burst.data(), out);
    }
    std::ranges::sort(ticks);
    const double nanoseconds = 1e9 / static_cast<double>(rte_get_tsc_hz());
    return {static_cast<double>(ticks[ticks.size() / 2]) * nanoseconds,
            static_cast<double>(ticks[ticks.size() * 99 / 100]) * nanoseconds};
  }

  static Percentiles median(std::vector<Percentiles> rounds) {
    Percentiles middle;
    std::ranges::sort(rounds, {}, &Percentiles::p50);
    middle.p50 = rounds[rounds.size() / 2].p50;
    std::ranges::sort(rounds, {}, &Percentiles::p99);
    middle.p99 = rounds[rounds.size() / 2].p99;
    return middle;
  }

  PortIds ports_;
  std::optional<dataplane::dpdk::SyncSteering> steering_;
  Wire uplink_;
  Wire vm_;
  rte_mempool* pool_ = nullptr;
  std::uint32_t service_ = 0;
  std::uint32_t next_flow_ = 0;
  std::vector<std::vector<std::uint8_t>> packets_;
};

}  // namespace
}  // namespace berth::soft::bench

int main(int argc, char** argv) try {
  double seconds = 10;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) != "--json") seconds = std::stod(argv[i]);
  }
  return berth::soft::bench::Bench().run(seconds);
} catch (const std::exception& failed) {
  std::fprintf(stderr, "bench_latency: %s\n", failed.what());
  return 1;
}
