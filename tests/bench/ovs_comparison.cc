#include "tests/bench/ovs_comparison.h"

#include "tests/bench/bench_pipeline.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
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
constexpr int kTurns = 3;

// Open vSwitch cannot do without hugepages: lends some to the run, and takes them back.
class LentHugepages {
 public:
  LentHugepages() {
    std::ifstream(kHugepages) >> before_;
    std::ofstream(kHugepages) << before_ + kPages;
  }
  ~LentHugepages() { std::ofstream(kHugepages) << before_; }
  LentHugepages(const LentHugepages&) = delete;
  LentHugepages& operator=(const LentHugepages&) = delete;

 private:
  static constexpr long kPages = 1000;  // of 2 MiB
  long before_ = 0;
};

// The number behind "ns_per_packet" in what the command prints.
std::optional<double> nanoseconds_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  std::string output;
  std::array<char, 256> line{};
  while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe.get()) != nullptr)
    output += line.data();
  const std::string key = "\"ns_per_packet\":";
  const std::size_t at = output.find(key);
  if (at == std::string::npos) return std::nullopt;
  return std::stod(output.substr(at + key.size()));
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

}  // namespace

int compare_with_ovs() {
  const bool has_ovs = geteuid() == 0 && std::filesystem::exists(kVswitchd);
  if (!has_ovs) {
    std::fprintf(stderr, "SKIPPED: Open vSwitch's side (needs root and Debian's openvswitch-switch-dpdk)\n");
  }
  const std::optional<LentHugepages> hugepages =
      has_ovs ? std::optional<LentHugepages>(std::in_place) : std::nullopt;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string pcap =
      std::filesystem::temp_directory_path() / ("berth-ovs-" + std::to_string(getpid()) + ".pcap");
  std::string json = "{";
  for (const std::string what : {"encap", "decap"}) {
    for (const auto& [flows, name] : {std::pair{1U, "1"}, {1000U, "1k"}, {65536U, "64k"}}) {
      write_pcap(pcap, what == "encap" ? encap_packets(flows) : decap_packets(flows));
      const std::string of_case = what + " " + std::to_string(flows) + " ";
      std::vector<double> ours;
      std::vector<double> theirs;
      for (int turn = 0; turn < kTurns; ++turn) {
        if (const auto cost = nanoseconds_of(self + " " + of_case + "2 2>/dev/null")) ours.push_back(*cost);
        if (!has_ovs) continue;
        if (const auto cost = nanoseconds_of(std::string(BERTH_OVS_SIDE) + " " + of_case + pcap + " 3")) {
          theirs.push_back(*cost);
        }
      }
      const std::optional<double> our_cost = median(ours);
      const std::optional<double> their_cost = median(theirs);
      std::optional<double> ratio;
      if (our_cost && their_cost) ratio = *their_cost / *our_cost;
      const std::string suffix = std::string("_") + name;
      json += "\"" + what + "_ratio" + suffix + "\":" + number(ratio) + ",\"" + what + "_ns" + suffix +
              "\":" + number(our_cost) + ",\"ovs_" + what + "_ns" + suffix + "\":" + number(their_cost) + ",";
      std::fprintf(stderr, "%s %s flows: %s ns, Open vSwitch %s ns\n", what.c_str(), name,
                   number(our_cost).c_str(), number(their_cost).c_str());
    }
  }
  std::filesystem::remove(pcap);
  json.back() = '}';
  std::printf("%s\n", json.c_str());
  return 0;
}

}  // namespace berth::soft::bench
