// An agent on fakes, with the address plan of all tests: VPC blue (VNI 7001) and green (7002) share
// the addresses 10.1.0.0/24; this host is 192.0.2.1, the other one 192.0.2.2.
#pragma once

#include "agent/agent.h"
#include "tests/fakes/fake_driver.h"
#include "tests/fakes/fake_eswitch.h"
#include "tests/fakes/intents.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/whole_host.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace berth::testing {

class AgentWorld {
 public:
  static constexpr std::uint16_t kFunctions = 3;

  struct Settings {
    std::chrono::milliseconds vpc_wait{0};
    std::chrono::milliseconds patience{0};
    agent::TurnLimits turns = {};
    dataplane::TableUse eswitch_limits = {};
  };
  AgentWorld() : AgentWorld(Settings()) {}
  explicit AgentWorld(Settings wanted) : settings(wanted) {
    run(agent.start({})).value();
    run(agent.set_next_hops({{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}})).value();
  }
  ~AgentWorld() { run_until_done(io, agent.stop()); }
  AgentWorld(const AgentWorld&) = delete;
  AgentWorld& operator=(const AgentWorld&) = delete;

  template <typename T>
  T run(asio::awaitable<T> task) {
    return run_until_done(io, std::move(task));
  }

  void run_until(const std::function<bool()>& is_so) {
    io.restart();
    while (!is_so() && io.run_one() > 0) {
    }
  }

  // Pushes; the errors' reasons.
  std::vector<std::string> push(const std::vector<dataplane::Vpc>& vpcs) {
    const auto errors = run(agent.push_vpcs({.vpcs = make_vpcs(vpcs), .version = ++version}));
    std::vector<std::string> reasons;
    for (const auto& error : errors.value()) reasons.push_back(error.error.reason);
    return reasons;
  }

  agent::AttachIntent intent(const std::string& vm, const std::string& vpc, std::uint8_t last_octet) {
    return make_intent(vm, vpc, last_octet);
  }

  // The finished operation.
  Result<agent::Operation> attach(const agent::AttachIntent& wanted) {
    const auto accepted = run(agent.attach(wanted));
    if (!accepted) return accepted;
    return run(agent.operations().wait(accepted->id));
  }
  Result<agent::Operation> detach(const AttachmentId& id, const std::string& request) {
    const auto accepted = run(agent.detach({RequestId::trusted(request), id}));
    if (!accepted) return accepted;
    return run(agent.operations().wait(accepted->id));
  }

  static std::vector<host::Function> make_functions() {
    std::vector<host::Function> functions;
    for (std::uint16_t i = 0; i < kFunctions; ++i) functions.push_back({.index = i});
    return functions;
  }

  const Settings settings;
  asio::io_context io;
  FakeEswitch eswitch{kFunctions};
  FakeDriver driver;
  agent::StateDb state;  // keeps nothing
  std::uint64_t version = 0;
  agent::Agent agent{
      io.get_executor(),
      eswitch,
      driver,
      make_functions(),
      state,
      agent::AgentSettings{.underlay = {.vtep = ip("192.0.2.1"), .mac = mac("02:00:00:00:ff:01")},
                           .vpc_wait = settings.vpc_wait,
                           .patience = settings.patience,
                           .turns = settings.turns,
                           .eswitch_limits = settings.eswitch_limits,
                           .quarantine_interval = std::chrono::milliseconds(1),
                           .probe = {.patience = std::chrono::milliseconds(5)}}};
};

}  // namespace berth::testing
