// The agent's own share of giving a VF to a VM: expose, bind and plug of a real attach, on a kernel and a VMM
// that answer at once (tests/fakes). What the fakes need for answering, files and links of a sysfs in a
// folder and the hop to a thread and back, is in the figures.
//
//   bench_host [--cycles N] [--json]     the last line is JSON: agent_share_ms is the median
#include "base/log.h"
#include "tests/flow/vf_world.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace berth::testing {
namespace {

struct Samples {
  std::vector<double> milliseconds;

  double at(double share) {
    std::ranges::sort(milliseconds);
    const auto index = static_cast<std::size_t>(share * static_cast<double>(milliseconds.size() - 1));
    return milliseconds.at(index);
  }
};

constexpr double kBarMs = 5;

int run(unsigned cycles, bool as_json) {
  VfHost host;
  VfLife life(host, host::Deadlines{});
  life.set_up();
  std::map<std::string, Samples> steps;
  for (unsigned cycle = 0; cycle < cycles; ++cycle) {
    auto wanted = VfLife::intent("vm-1", 5);
    wanted.request = RequestId::trusted(fmt::format("req-{}", cycle));
    const auto attached = life.attach(wanted);
    if (!attached || attached->error) {
      std::fprintf(stderr, "bench_host: cycle %u: %s\n", cycle,
                   (attached ? *attached->error : attached.error()).message.c_str());
      return 1;
    }
    double share = 0;
    for (const auto& step : attached->steps) {
      const double ms = static_cast<double>(step.took.count()) / 1000;
      if (step.name != "expose" && step.name != "bind" && step.name != "plug") continue;
      steps[std::string(step.name)].milliseconds.push_back(ms);
      share += ms;
    }
    steps["share"].milliseconds.push_back(share);
    if (const auto detached = life.detach(attached->attachment);
        !detached || detached->error || detached->result) {
      std::fprintf(stderr, "bench_host: cycle %u: the function did not come back\n", cycle);
      return 1;
    }
  }
  if (!as_json) {
    for (auto& [name, samples] : steps)
      fmt::print("{:<8} median {:.3f} ms  p99 {:.3f} ms\n", name, samples.at(0.5), samples.at(0.99));
    fmt::print("bar: the share's median below {} ms\n", kBarMs);
  }
  fmt::print(
      "{{\"bench\":\"host\",\"cycles\":{},\"agent_share_ms\":{:.3f},\"agent_share_p99_ms\":{:.3f},"
      "\"expose_ms\":{:.3f},\"bind_ms\":{:.3f},\"plug_ms\":{:.3f},\"bar_ms\":{},\"pass\":{}}}\n",
      cycles, steps["share"].at(0.5), steps["share"].at(0.99), steps["expose"].at(0.5), steps["bind"].at(0.5),
      steps["plug"].at(0.5), kBarMs, steps["share"].at(0.5) < kBarMs);
  return 0;
}

}  // namespace
}  // namespace berth::testing

int main(int argc, char** argv) {
  CLI::App app("bench_host: the agent's own share of expose, bind and plug");
  unsigned cycles = 500;
  bool as_json = false;
  app.add_option("--cycles", cycles)->check(CLI::Range(1U, 1000000U));
  app.add_flag("--json", as_json, "nothing but the JSON line");
  CLI11_PARSE(app, argc, argv);
  berth::set_log_level(berth::LogLevel::kError);
  return berth::testing::run(cycles, as_json);
}
