// A gateway on a network device: the whole software eSwitch with one function, whose packets all miss. The VM
// behind it is that of tests/fakes/port_answers.h. Prints "ready", then, for each line that it reads, the
// counters that are not zero; ends with its input.
//
// usage: answer_guest NETDEV
#include "dataplane/dpdk/embedded_eswitch.h"
#include "dataplane/pipeline.h"
#include "tests/fakes/port_answers.h"
#include "tests/fakes/run_task.h"

#include <cstdio>
#include <iostream>
#include <string>

namespace berth::dataplane {
namespace {

Result<void> serve(const std::string& netdev) {
  asio::io_context loop;  // outlives the eSwitch's threads
  auto eswitch = dpdk::EmbeddedEswitch::open_soft(
      {.uplink = {"net_null0", "no-rx=1"}, .functions = {dpdk::af_packet_backing(netdev)}});
  if (!eswitch) return pass(eswitch);
  const EswitchPort guest = EswitchPort::function(0);
  // The agent's group has no rules: what is led there misses.
  const Rule to_agent{.key = {group::kEntry, priority::kExact, {.source = guest}},
                      .actions = {.fate = JumpTo{group::kAgent}},
                      .purpose = Purpose::kPortEntry,
                      .owner = guest};
  const auto applied = testing::run_until_done(loop, (*eswitch)->apply({AddRule{to_agent}}));
  if (!applied) return pass(applied);
  if (!applied->front()) return pass(applied->front());
  auto set = testing::run_until_done(loop, (*eswitch)->set_answers(guest, testing::make_answers()));
  if (!set) return pass(set);

  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const auto states = testing::run_until_done(loop, (*eswitch)->read_slow_path(std::nullopt));
    if (!states) return pass(states);
    const SlowPathState& state = states->at(guest.number());
    for (std::size_t i = 0; i < slowpath::kOutcomeCount; ++i) {
      if (state.counters.frames[i] == 0) continue;
      std::cout << outcome_name(static_cast<slowpath::Outcome>(i)) << '=' << state.counters.frames[i] << ' ';
    }
    std::cout << "undelivered=" << state.undelivered << std::endl;
  }
  return {};
}

}  // namespace
}  // namespace berth::dataplane

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto served = berth::dataplane::serve(argv[1]);
  if (!served) std::cerr << served.error().message << '\n';
  return served ? 0 : 1;
}
