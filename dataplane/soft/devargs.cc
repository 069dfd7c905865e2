#include "dataplane/soft/devargs.h"

#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include <rte_kvargs.h>

namespace berth::soft {
namespace {

struct KvargsDeleter {
  void operator()(rte_kvargs* arguments) const { rte_kvargs_free(arguments); }
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

int collect(const char* key, const char* value, void* pairs) {
  static_cast<Pairs*>(pairs)->emplace_back(key, value != nullptr ? value : "");
  return 0;
}

}  // namespace

std::expected<SwitchConfig, std::string> parse_devargs(const char* text) {
  static constexpr std::array kKeys{"uplink",
                                    "flow_cache",
                                    "max_meters",
                                    "fault_refuse",
                                    "fault_stall",
                                    "fault_reset",
                                    "fault_ignore",
                                    "function",
                                    "max_rules",
                                    "max_counters",
                                    "max_groups",
                                    "max_encaps",
                                    "mbufs",
                                    "match_dwords",
                                    "agent_ring",
                                    "idle_nap",
                                    "unbacked",
                                    "steering",
                                    static_cast<const char*>(nullptr)};
  const std::unique_ptr<rte_kvargs, KvargsDeleter> arguments(
      rte_kvargs_parse(text != nullptr ? text : "", kKeys.data()));
  if (arguments == nullptr)
    return std::unexpected("malformed arguments, or one that net_berth does not know");
  Pairs pairs;
  rte_kvargs_process(arguments.get(), nullptr, &collect, &pairs);

  SwitchConfig config;
  const std::array<std::pair<std::string_view, std::uint32_t*>, 15> numbers{{
      {"max_rules", &config.pools.rules},
      {"max_counters", &config.pools.counters},
      {"max_groups", &config.pools.groups},
      {"max_encaps", &config.pools.encaps},
      {"match_dwords", &config.limits.match_dwords},
      {"mbufs", &config.mbufs},
      {"agent_ring", &config.agent_ring},
      {"idle_nap", &config.idle_nap_us},
      {"unbacked", &config.unbacked},
      {"flow_cache", &config.cached_flows},
      {"max_meters", &config.pools.meters},
      {"fault_refuse", &config.faults.refuse_create},
      {"fault_ignore", &config.faults.ignore_create},
      {"fault_stall", &config.faults.stall_after},
      {"fault_reset", &config.faults.reset_after},
  }};
  for (const auto& [key, value] : pairs) {
    if (key == "uplink") {
      if (!config.uplink.empty()) return std::unexpected("uplink= is given twice");
      config.uplink = value;
    } else if (key == "function") {
      config.functions.push_back(value);
    } else if (key == "steering") {
      if (value != "both" && value != "software") return std::unexpected("steering= is both or software");
      config.steering = value == "software" ? Steering::kSoftware : Steering::kBoth;
    } else {
      for (const auto& [name, number] : numbers) {
        if (name != key) continue;
        const char* end = value.data() + value.size();
        const auto parsed = std::from_chars(value.data(), end, *number);
        if (parsed.ec != std::errc() || parsed.ptr != end || (*number == 0 && key != "flow_cache")) {
          return std::unexpected(key + "= needs a number above 0");
        }
      }
    }
  }
  if (config.uplink.empty()) return std::unexpected("uplink= is missing");
  if (config.unbacked > kMaxUnbacked)
    return std::unexpected("unbacked= is at most " + std::to_string(kMaxUnbacked));
  return config;
}

}  // namespace berth::soft
