#include "tests/bench/ovs_comparison.h"

#include "tests/bench/bench_pipeline.h"
#include "tests/fakes/test_folder.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace berth::soft::bench {
namespace {

constexpr const char* kVswitchd = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
constexpr const char* kHugepages = "/proc/sys/vm/nr_hugepages";

// Open vSwitch cannot do without hugepages: lends some to the run, and takes them back, even when
// interrupted.
class LentHugepages {
 public:
  LentHugepages() {
    long before = 0;
    std::ifstream(kHugepages) >> before;
    std::snprintf(before_, sizeof(before_), "%ld\n", before);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, &LentHugepages::interrupted);
    std::ofstream(kHugepages) << before + kPages;
  }
  ~LentHugepages() { give_back(); }
  LentHugepages(const LentHugepages&) = delete;
  LentHugepages& operator=(const LentHugepages&) = delete;

 private:
  static constexpr long kPages = 1200;  // of 2 MiB

  static void give_back() {
    const int file = open(kHugepages, O_WRONLY | O_CLOEXEC);
    (void)!write(file, before_, std::strlen(before_));
    close(file);
  }
  static void interrupted(int /*signal*/) {
    give_back();
    _exit(130);
  }

  static inline char before_[32] = "";
};

// The costs that a command prints, by the switch whose they are.
struct Costs {
  std::vector<double> ours;
  std::vector<double> theirs;
};

Costs costs_of(const std::string& command) {
  Costs costs;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  std::array<char, 256> line{};
  while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    const std::string text = line.data();
    const std::string key = "\"ns_per_packet\":";
    const std::size_t at = text.find(key);
    if (at == std::string::npos) continue;
    const bool is_theirs = text.find("\"ovs_") != std::string::npos;
    (is_theirs ? costs.theirs : costs.ours).push_back(std::stod(text.substr(at + key.size())));
  }
  return costs;
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string number(std::optional<double> value) {
  if (!value) return "null";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", *value);
  return text.data();
}

// Measures both switches in turns, so that what disturbs the machine disturbs both.
class Comparison {
 public:
  explicit Comparison(bool has_ovs)
      : has_ovs_(has_ovs), self_(std::filesystem::read_symlink("/proc/self/exe")) {}

  // `rules` is how many rules Open vSwitch has for encapsulation. `field` goes into the names of the figures.
  void measure(const std::string& what, std::uint32_t flows, std::uint32_t rules, const std::string& field) {
    write_pcap(pcap_, what == "encap" ? encap_packets(flows) : decap_packets(flows));
    const std::string ours = self_ + " " + what + " " + std::to_string(flows) + " 1.2";
    Costs costs;
    if (has_ovs_) {
      costs = costs_of(std::string(BERTH_OVS_SIDE) + " " + what + " " + std::to_string(flows) + " " +
                       std::to_string(rules) + " " + pcap_ + " 1 " + std::to_string(kTurns) + " " + ours);
    } else {
      for (std::size_t turn = 0; turn < kTurns; ++turn) {
        for (const double cost : costs_of(ours).ours) costs.ours.push_back(cost);
      }
    }
    if (costs.ours.size() < kTurns || (has_ovs_ && costs.theirs.size() < kTurns)) is_complete_ = false;
    const std::optional<double> our_cost = median(costs.ours);
    const std::optional<double> their_cost = median(costs.theirs);
    std::optional<double> ratio;
    if (our_cost && their_cost) ratio = *their_cost / *our_cost;
    add(what + "_ratio_" + field, ratio);
    add(what + "_ns_" + field, our_cost);
    add("ovs_" + what + "_ns_" + field, their_cost);
    std::fprintf(stderr, "%s %s: %s ns, Open vSwitch %s ns\n", what.c_str(), field.c_str(),
                 number(our_cost).c_str(), number(their_cost).c_str());
  }

  std::string json() const { return "{" + json_ + "}"; }
  bool is_complete() const { return is_complete_; }

 private:
  static constexpr std::size_t kTurns = 3;

  void add(const std::string& name, std::optional<double> value) {
    json_ += (json_.empty() ? "\"" : ",\"") + name + "\":" + number(value);
  }

  const bool has_ovs_;
  const std::string self_;
  const testing::TestFolder folder_{"ovs"};
  const std::string pcap_ = folder_ / "packets.pcap";
  std::string json_;
  bool is_complete_ = true;
};

}  // namespace

int compare_with_ovs() {
  const bool has_ovs = geteuid() == 0 && std::filesystem::exists(kVswitchd);
  if (!has_ovs) {
    std::fprintf(stderr, "SKIPPED: Open vSwitch's side (needs root and Debian's openvswitch-switch-dpdk)\n");
  }
  const std::optional<LentHugepages> hugepages =
      has_ovs ? std::optional<LentHugepages>(std::in_place) : std::nullopt;
  Comparison comparison(has_ovs);
  for (const std::string what : {"encap", "decap"}) {
    comparison.measure(what, 1, 1, "1");
    comparison.measure(what, 1000, 1000, "1k");
    comparison.measure(what, 65536, 65536, "64k");
  }
  // What no bar is set for: all destinations behind one tunnel end, so that one rule says it all.
  comparison.measure("encap", 65536, 1, "64k_one_rule");
  std::printf("%s\n", comparison.json().c_str());
  return comparison.is_complete() ? 0 : 1;
}

}  // namespace berth::soft::bench
