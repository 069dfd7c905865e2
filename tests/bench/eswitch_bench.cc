// CPU time of the software eSwitch per packet, through the full pipeline.
//
//   bench_eswitch encap|decap|source FLOWS [SECONDS]     one line of JSON
//   bench_eswitch --json                                 all cases, beside Open vSwitch; one line of JSON
//
// Packets come from net_pcap (preloaded, replayed without end) and end in net_null; everything runs on this
// one thread, whose CPU time is what counts. "source" is the same without a switch in between: what source
// and sink cost by themselves.
#include "dataplane/soft/switch_port.h"
#include "tests/bench/bench_pipeline.h"
#include "tests/bench/ovs_comparison.h"
#include "tests/fakes/test_folder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <rte_service.h>

namespace berth::soft::bench {
namespace {

constexpr int kRounds = 7;

void require(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what + ": " + rte_strerror(rte_errno));
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint32_t free_hugepage_mebibytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::uint32_t pages = 0;
  for (std::string word; meminfo >> word;) {
    if (word == "HugePages_Free:") meminfo >> pages;
  }
  return pages * 2;
}

// On the core that Open vSwitch is measured on (ovs_eswitch.sh). Hugepages when enough are free, as Open
// vSwitch has them; ordinary memory else.
void start_eal(std::uint32_t flows) {
  const std::uint32_t mebibytes = 512 + flows / 200;
  const std::string pages = free_hugepage_mebibytes() >= mebibytes ? "--in-memory" : "--no-huge";
  std::vector<std::string> words{"bench",
                                 pages,
                                 "-m",
                                 std::to_string(mebibytes),
                                 "--no-pci",
                                 "--no-telemetry",
                                 std::thread::hardware_concurrency() > 1 ? "--lcores=0@1" : "--lcores=0",
                                 "--log-level=lib.eal:error"};
  if (pages == "--no-huge") {
    words.insert(words.end(), {"--no-shconf", "--file-prefix=berth-bench-" + std::to_string(getpid())});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  require(rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0, "EAL");
}

std::uint16_t port_named(const std::string& name) {
  std::uint16_t id = 0;
  require(rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0, name);
  return id;
}

void start_port(std::uint16_t id, rte_mempool* pool) {
  const rte_eth_conf conf{};
  require(rte_eth_dev_configure(id, 1, 1, &conf) == 0, "configure");
  require(rte_eth_rx_queue_setup(id, 0, 1024, 0, nullptr, pool) == 0, "rx queue");
  require(rte_eth_tx_queue_setup(id, 0, 1024, 0, nullptr) == 0, "tx queue");
  require(rte_eth_dev_start(id) == 0, "start");
}

std::uint64_t xstat(std::uint16_t port, const char* name) {
  std::uint64_t id = 0;
  std::uint64_t value = 0;
  require(rte_eth_xstats_get_id_by_name(port, name, &id) == 0, name);
  require(rte_eth_xstats_get_by_id(port, &id, &value, 1) == 1, name);
  return value;
}

// Runs `step` (which returns the number of packets it moved) for a while; the median cost of rounds.
template <typename Step>
double nanoseconds_per_packet(double seconds, Step step) {
  std::vector<double> costs;
  for (int round = 0; round <= kRounds; ++round) {
    const double start = thread_seconds();
    std::uint64_t packets = 0;
    double used = 0;
    while (used < seconds / kRounds) {
      for (int i = 0; i < 256; ++i) packets += step();
      used = thread_seconds() - start;
    }
    if (round != 0) costs.push_back(used * 1e9 / static_cast<double>(packets));  // the first one warms up
  }
  std::ranges::sort(costs);
  return costs[costs.size() / 2];
}

double measure_source(const std::string& pcap, std::uint32_t flows, double seconds) {
  require(rte_vdev_init("net_pcap0", ("rx_pcap=" + pcap + ",infinite_rx=1").c_str()) == 0, "net_pcap");
  require(rte_vdev_init("net_null0", "no-rx=1") == 0, "net_null");
  rte_mempool* pool = rte_pktmbuf_pool_create("source", flows + 16384, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  require(pool != nullptr, "pool");
  const std::uint16_t in = port_named("net_pcap0");
  const std::uint16_t out = port_named("net_null0");
  start_port(in, pool);
  start_port(out, pool);
  return nanoseconds_per_packet(seconds, [in, out] {
    rte_mbuf* packets[32];
    const std::uint16_t count = rte_eth_rx_burst(in, 0, packets, 32);
    return rte_eth_tx_burst(out, 0, packets, count);
  });
}

struct Measured {
  double nanoseconds = 0;
  double delivered = 0;  // share of packets that came out
};

Measured measure_switch(bool encap, const std::string& pcap, std::uint32_t flows, double seconds) {
  require(rte_vdev_init("net_pcap0", ("rx_pcap=" + pcap + ",infinite_rx=1").c_str()) == 0, "net_pcap");
  require(rte_vdev_init("net_null0", "no-rx=1") == 0, "net_null");
  const std::string uplink = encap ? "net_null0" : "net_pcap0";
  const std::string vm = encap ? "net_pcap0" : "net_null0";
  const std::string arguments =
      "uplink=" + uplink + ",function=" + vm + ",mbufs=" + std::to_string(flows + 32768);
  require(rte_vdev_init("net_berth0", arguments.c_str()) == 0, "net_berth");
  const PortIds ports{port_named("net_berth0"), port_named("net_berth0_representor_vf0")};
  rte_mempool* pool = rte_pktmbuf_pool_create("agent", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  start_port(ports.uplink, pool);
  start_port(ports.vm, pool);
  dataplane::dpdk::SyncSteering steering(ports.uplink, numbering(ports));
  for (const dataplane::Rule& rule : host_rules(flows)) install(steering, rule);
  std::uint32_t service = 0;
  require(rte_service_get_by_name("net_berth0_switch", &service) == 0, "service");

  const std::uint16_t in = encap ? ports.vm : ports.uplink;
  const std::uint16_t out = encap ? ports.uplink : ports.vm;
  const double nanoseconds = nanoseconds_per_packet(seconds, [service] {
    rte_service_run_iter_on_app_lcore(service, 0);
    return std::uint32_t{kBurst};  // net_pcap replays without end: always a whole burst (checked below)
  });
  const auto received = static_cast<double>(xstat(in, "function_received_packets"));
  return {nanoseconds, static_cast<double>(xstat(out, "function_sent_packets")) / received};
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 1 && words[0] == "--json") return compare_with_ovs();
  if (words.size() < 2) {
    std::fprintf(stderr, "usage: bench_eswitch encap|decap|source FLOWS [SECONDS] | --json\n");
    return 2;
  }
  const std::string& what = words[0];
  const auto flows = static_cast<std::uint32_t>(std::stoul(words[1]));
  const double seconds = words.size() > 2 ? std::stod(words[2]) : 3;
  const testing::TestFolder folder("bench");
  const std::string pcap = folder / "packets.pcap";
  write_pcap(pcap, what == "decap" ? decap_packets(flows) : encap_packets(flows));
  start_eal(flows);
  const Measured measured = what == "source" ? Measured{measure_source(pcap, flows, seconds), 1}
                                             : measure_switch(what == "encap", pcap, flows, seconds);
  std::printf("{\"case\":\"%s\",\"flows\":%u,\"ns_per_packet\":%.1f,\"delivered\":%.4f}\n", what.c_str(),
              flows, measured.nanoseconds, measured.delivered);
  return measured.delivered > 0.999 ? 0 : 1;
}

}  // namespace
}  // namespace berth::soft::bench

int main(int argc, char** argv) try {
  return berth::soft::bench::run({argv + 1, argv + argc});
} catch (const std::exception& failed) {
  std::fprintf(stderr, "bench_eswitch: %s\n", failed.what());
  return 1;
}
