// Rules per second into the software eSwitch through the public API, and memory per rule; beside Open
// vSwitch.
//
//   bench_rules [--json] [RULES]     default 1,000,000 mappings installed; one line of JSON
//
// A mapping rule counts, sets the destination MAC and encapsulates. Rates are of wall time of one thread, of
// inserting a tenth of RULES on top of RULES installed, then deleting it; "async" is with templates, batches
// of 64 postponed operations, one queue. No packet worker runs beside it. "ovs_bundle_per_s" is what Open
// vSwitch takes as one OpenFlow bundle of 100,000 rules, where it is installed (ovs_rules.sh).
#include "tests/bench/bench_pipeline.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

namespace berth::soft::bench {
namespace {

constexpr std::uint32_t kBatch = 64;

void require(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what + ": " + rte_strerror(rte_errno));
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

template <typename Work>
double per_second(std::uint32_t count, Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> used = std::chrono::steady_clock::now() - start;
  return count / used.count();
}

std::string ovs_bundle_per_second() {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(BERTH_OVS_RULES " 100000", "r"), &pclose);
  unsigned long rate = 0;
  if (pipe == nullptr || std::fscanf(pipe.get(), "%lu", &rate) != 1) {
    std::fprintf(stderr, "SKIPPED: Open vSwitch's side (needs root and Debian's openvswitch-switch)\n");
    return "null";
  }
  return std::to_string(rate);
}

// One mapping rule whose address and MAC are changed in place: building structs is not what is measured.
class MappingRule {
 public:
  MappingRule(const PortIds& ports, dataplane::dpdk::SteeringMode mode)
      : flow_(mapping_rule(0), mode, numbering(ports)) {
    for (const rte_flow_item* item = flow_.items(); item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
      if (item->type == RTE_FLOW_ITEM_TYPE_IPV4) {
        address_ = &static_cast<rte_flow_item_ipv4*>(const_cast<void*>(item->spec))->hdr.dst_addr;
      }
    }
    for (const rte_flow_action* action = flow_.actions(); action->type != RTE_FLOW_ACTION_TYPE_END;
         ++action) {
      if (action->type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD) {
        mac_ = static_cast<rte_flow_action_modify_field*>(const_cast<void*>(action->conf))->src.value;
      }
    }
    first_ = rte_be_to_cpu_32(*address_);
  }

  const dataplane::dpdk::LoweredRule& at(std::uint32_t number) {
    *address_ = rte_cpu_to_be_32(first_ + number);
    std::memcpy(mac_ + 2, address_, 4);
    return flow_;
  }

 private:
  dataplane::dpdk::LoweredRule flow_;
  rte_be32_t* address_ = nullptr;
  std::uint32_t first_ = 0;
  std::uint8_t* mac_ = nullptr;
};

class Bench {
 public:
  explicit Bench(std::uint32_t rules) : rules_(rules), more_(std::max(rules / 10, kBatch)) {
    const std::string prefix = "--file-prefix=berth-rules-" + std::to_string(getpid());
    std::vector<std::string> words{"bench",       "--no-huge",  "-m",
                                   "256",         "--no-pci",   "--no-telemetry",
                                   "--no-shconf", "--lcores=0", "--log-level=lib.eal:error",
                                   prefix};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    require(rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0, "EAL");
    require(rte_vdev_init("net_null0", "no-rx=1") == 0 && rte_vdev_init("net_null1", "no-rx=1") == 0,
            "net_null");
    require(rte_vdev_init("net_berth0",
                          "uplink=net_null0,function=net_null1,max_rules=4194304,max_counters=4194304") == 0,
            "net_berth");
    pool_ = rte_pktmbuf_pool_create("agent", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    require(rte_eth_dev_get_port_by_name("net_berth0", &ports_.uplink) == 0, "proxy");
    require(rte_eth_dev_get_port_by_name("net_berth0_representor_vf0", &ports_.vm) == 0, "representor");
    const rte_flow_port_attr attr{
        .nb_counters = 1U << 22, .nb_aging_objects = 0, .nb_meters = 0, .nb_conn_tracks = 0, .flags = 0};
    const rte_flow_queue_attr queue{.size = 2 * kBatch};
    const rte_flow_queue_attr* queues[] = {&queue};
    for (const std::uint16_t id : {ports_.uplink, ports_.vm}) {
      const rte_eth_conf conf{};
      require(rte_eth_dev_configure(id, 1, 1, &conf) == 0, "configure");
      require(rte_eth_rx_queue_setup(id, 0, 256, 0, nullptr, pool_) == 0, "rx queue");
      require(rte_eth_tx_queue_setup(id, 0, 256, 0, nullptr) == 0, "tx queue");
      if (id == ports_.uplink)
        require(rte_flow_configure(id, &attr, 1, queues, &error_) == 0, "rte_flow_configure");
      require(rte_eth_dev_start(id) == 0, "start");
    }
  }

  void run() {
    MappingRule rule(ports_, dataplane::dpdk::SteeringMode::kSoftware);
    const std::size_t before = resident_bytes();
    for (std::uint32_t i = 0; i < rules_; ++i) create(rule.at(i));
    const double bytes = static_cast<double>(resident_bytes() - before) / rules_;

    std::vector<rte_flow*> made(more_);
    const double sync = per_second(more_, [&] {
      for (std::uint32_t i = 0; i < more_; ++i) made[i] = create(rule.at(rules_ + i));
    });
    const double sync_delete = per_second(more_, [&] {
      for (rte_flow* one : made) require(rte_flow_destroy(ports_.uplink, one, &error_) == 0, "destroy");
    });

    MappingRule queued(ports_, dataplane::dpdk::SteeringMode::kHardware);
    make_table(queued.at(0));
    const double async = per_second(more_, [&] {
      for (std::uint32_t i = 0; i < more_; ++i) {
        const dataplane::dpdk::LoweredRule& flow = queued.at(rules_ + i);
        const rte_flow_op_attr postponed{.postpone = 1};
        made[i] = rte_flow_async_create(ports_.uplink, 0, &postponed, table_, flow.items(), 0, flow.actions(),
                                        0, nullptr, &error_);
        require(made[i] != nullptr, "async create");
        if (i % kBatch == kBatch - 1) complete(kBatch);
      }
      complete(more_ % kBatch);
    });
    const double async_delete = per_second(more_, [&] {
      for (std::uint32_t i = 0; i < more_; ++i) {
        const rte_flow_op_attr postponed{.postpone = 1};
        require(rte_flow_async_destroy(ports_.uplink, 0, &postponed, made[i], nullptr, &error_) == 0,
                "async destroy");
        if (i % kBatch == kBatch - 1) complete(kBatch);
      }
      complete(more_ % kBatch);
    });
    std::printf(
        "{\"installed\":%u,\"sync_per_s\":%.0f,\"sync_delete_per_s\":%.0f,\"async_per_s\":%.0f,"
        "\"async_delete_per_s\":%.0f,\"bytes_per_rule\":%.1f,\"ovs_bundle_per_s\":%s}\n",
        rules_, sync, sync_delete, async, async_delete, bytes, ovs_bundle_per_second().c_str());
  }

 private:
  rte_flow* create(const dataplane::dpdk::LoweredRule& flow) {
    rte_flow* made = rte_flow_create(ports_.uplink, &flow.attr(), flow.items(), flow.actions(), &error_);
    require(made != nullptr, "create");
    return made;
  }

  void make_table(const dataplane::dpdk::LoweredRule& flow) {
    const rte_flow_pattern_template_attr pattern_attr{
        .relaxed_matching = 0, .ingress = 0, .egress = 0, .transfer = 1};
    rte_flow_pattern_template* pattern =
        rte_flow_pattern_template_create(ports_.uplink, &pattern_attr, flow.items(), &error_);
    rte_flow_action_modify_field whole{};
    whole.dst.level = UINT32_MAX;
    whole.dst.offset = UINT32_MAX;
    whole.width = UINT32_MAX;
    std::vector<rte_flow_action> masks;
    for (const rte_flow_action* action = flow.actions();; ++action) {
      masks.push_back({action->type, action->type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD ? &whole : nullptr});
      if (action->type == RTE_FLOW_ACTION_TYPE_END) break;
    }
    const rte_flow_actions_template_attr actions_attr{.ingress = 0, .egress = 0, .transfer = 1};
    rte_flow_actions_template* actions =
        rte_flow_actions_template_create(ports_.uplink, &actions_attr, flow.actions(), masks.data(), &error_);
    require(pattern != nullptr && actions != nullptr, "templates");
    const rte_flow_template_table_attr attr{.flow_attr = flow.attr(), .nb_flows = more_};
    table_ = rte_flow_template_table_create(ports_.uplink, &attr, &pattern, 1, &actions, 1, &error_);
    require(table_ != nullptr, "table");
  }

  void complete(std::uint32_t count) {
    require(rte_flow_push(ports_.uplink, 0, &error_) == 0, "push");
    rte_flow_op_result results[kBatch];
    while (count != 0) {
      const int pulled = rte_flow_pull(ports_.uplink, 0, results, static_cast<std::uint16_t>(count), &error_);
      require(pulled > 0, "pull");
      for (int i = 0; i < pulled; ++i) require(results[i].status == RTE_FLOW_OP_SUCCESS, "completion");
      count -= static_cast<std::uint32_t>(pulled);
    }
  }

  const std::uint32_t rules_;
  const std::uint32_t more_;
  PortIds ports_;
  rte_mempool* pool_ = nullptr;
  rte_flow_template_table* table_ = nullptr;
  rte_flow_error error_{};
};

}  // namespace
}  // namespace berth::soft::bench

int main(int argc, char** argv) try {
  std::uint32_t rules = 1'000'000;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) != "--json") rules = static_cast<std::uint32_t>(std::stoul(argv[i]));
  }
  berth::soft::bench::Bench(rules).run();
  return 0;
} catch (const std::exception& failed) {
  std::fprintf(stderr, "bench_rules: %s\n", failed.what());
  return 1;
}
