// A berthd that can be killed between any two things that it does, and what outlives it: the disk, the
// eSwitch, the functions, and what the VMaaS has heard. A kill is a copy of all that, at that moment, which
// the next process starts with.
#pragma once

#include "agent/agent.h"
#include "tests/fakes/fake_driver.h"
#include "tests/fakes/fake_eswitch.h"
#include "tests/fakes/intents.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/fakes/whole_host.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::testing {

// The VMaaS's receiver, on a bad line: it takes every completion, but its first answer for each is lost.
class FakeVmaas : public agent::CompletionSink {
 public:
  Task<void> deliver(agent::Operation ended) override {
    told.push_back(ended);
    if (answer_lost.insert(ended.id).second) co_return fail(Code::kUnavailable, "", "the answer is lost");
    co_return Result<void>();
  }

  std::vector<agent::Operation> told;
  std::set<OperationId> answer_lost;
};

// What a kill of berthd leaves.
struct Remains {
  std::map<std::string, std::string> disk;  // file name to bytes
  std::map<dataplane::RuleKey, dataplane::Rule> rules;
  std::map<std::uint16_t, VmId> plugged;
  std::set<std::uint16_t> bound;
  std::set<std::uint16_t> dirty;
  std::map<std::uint16_t, std::uint64_t> rates;
  std::vector<agent::Operation> told;
  std::set<OperationId> answer_lost;
  std::map<RequestId, OperationId> answered;  // what the northbound API has said

  bool is_like(const Remains& other) const {
    return disk == other.disk && rules == other.rules && plugged == other.plugged && bound == other.bound &&
           dirty == other.dirty && rates == other.rates && told.size() == other.told.size() &&
           answered == other.answered;
  }
};

class CrashWorld {
 public:
  static constexpr std::uint16_t kFunctions = 3;

  CrashWorld() = default;
  // Starts where another one was killed.
  explicit CrashWorld(const Remains& remains) : answered(remains.answered) {
    for (const auto& [name, bytes] : remains.disk) std::ofstream(folder / name, std::ios::binary) << bytes;
    eswitch.rules = remains.rules;
    driver.plugged = remains.plugged;
    driver.bound = remains.bound;
    driver.dirty = remains.dirty;
    driver.rates = remains.rates;
    vmaas.told = remains.told;
    vmaas.answer_lost = remains.answer_lost;
  }
  ~CrashWorld() { stop(); }
  CrashWorld(const CrashWorld&) = delete;
  CrashWorld& operator=(const CrashWorld&) = delete;

  void start() {
    state.emplace(agent::StateDb::open(folder.path()).value());
    agent.emplace(
        io.get_executor(), eswitch, driver, functions(), *state,
        agent::AgentSettings{.completions = &vmaas,
                             .outbox_times = {std::chrono::milliseconds(1), std::chrono::milliseconds(2)},
                             .underlay = {.vtep = ip("192.0.2.1"), .mac = mac("02:00:00:00:ff:01")},
                             .vpc_wait = std::chrono::milliseconds(0),
                             .quarantine_interval = std::chrono::milliseconds(1)});
    run(agent->start(state->load().value())).value();
  }
  void stop() {
    if (!agent) return;
    after_each = nullptr;
    run_until_done(io, agent->stop());
    agent.reset();
    state.reset();
  }

  // What the next process would find. This one has ended then.
  agent::SavedState on_disk() {
    stop();
    return agent::StateDb::open(folder.path())->load().value();
  }

  // What a host is told that has never been told anything: VPC blue, with a policy group, and
  // two addresses to hand out.
  void set_up() {
    dataplane::Vpc blue = make_vpc("blue", 7001);
    blue.subnets[0].host_blocks = {IpRange::parse("", "10.1.0.40-10.1.0.41").value()};
    blue.policy_groups = {
        {.id = dataplane::PolicyGroupId::trusted("web"),
         .rules = {{dataplane::Direction::kIngress, 5, dataplane::Verdict::kDeny, {}, {}, {}}}}};
    run(agent->set_next_hops({{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}})).value();
    EXPECT_TRUE(run(agent->push_vpcs({.vpcs = make_vpcs({blue}), .version = 7})).value().empty());
  }

  // Runs `task` to its end; `after_each` hears of every handler in between.
  template <typename T>
  T run(asio::awaitable<T> task) {
    std::optional<T> outcome;
    asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& thrown, T value) {
      if (thrown) std::rethrow_exception(thrown);
      outcome = std::move(value);
    });
    run_while([&] { return !outcome; });
    return *std::move(outcome);
  }
  void run_while(const std::function<bool()>& is_wanted) {
    io.restart();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (is_wanted() && io.run_one() > 0) {
      if (after_each) after_each();
      if (std::chrono::steady_clock::now() > give_up) die_waiting();
    }
  }

  // What the VMaaS does: it asks, remembers the operation that it was told, and waits for its end.
  agent::Operation attach(const agent::AttachIntent& intent) {
    return follow(intent.request, run(agent->attach(intent)).value());
  }
  agent::Operation detach(const std::string& request, const AttachmentId& attachment) {
    const auto id = RequestId::trusted(request);
    return follow(id, run(agent->detach({id, attachment})).value());
  }
  agent::Operation update(const agent::UpdateIntent& intent) {
    return follow(intent.request, run(agent->update(intent)).value());
  }
  // Asks, and thinks better of it.
  agent::Operation update_and_withdraw(const agent::UpdateIntent& intent) {
    const auto accepted = run(agent->update(intent)).value();
    answered.emplace(intent.request, accepted.id);
    (void)run(agent->cancel(accepted.id)).value();
    return follow(intent.request, accepted);
  }
  void settle() {
    run_while([&] { return agent->untold() != 0; });
  }

  Remains remains() const {
    Remains left{.disk = {},
                 .rules = eswitch.rules,
                 .plugged = driver.plugged,
                 .bound = driver.bound,
                 .dirty = driver.dirty,
                 .rates = driver.rates,
                 .told = vmaas.told,
                 .answer_lost = vmaas.answer_lost,
                 .answered = answered};
    for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
      std::ifstream bytes(file.path(), std::ios::binary);
      left.disk[file.path().filename()] = {std::istreambuf_iterator<char>(bytes), {}};
    }
    return left;
  }

  static agent::AttachIntent intent(const std::string& vm, std::uint8_t last_octet) {
    return make_intent(vm, "blue", last_octet);
  }

  asio::io_context io;
  // What is killed here is a process, not the disk's power.
  TestFolder folder{"crash", TestFolder::fast_parent()};
  FakeEswitch eswitch{kFunctions};
  FakeDriver driver;
  FakeVmaas vmaas;
  std::map<RequestId, OperationId> answered;
  std::function<void()> after_each;
  std::optional<agent::StateDb> state;
  std::optional<agent::Agent> agent;

 private:
  // Nothing can be destroyed in good order here; what is known is said.
  [[noreturn]] void die_waiting() const {
    fmt::print(stderr, "waited for a minute; untold: {}\n", agent->untold());
    for (const auto& one : agent->attachments().list()) {
      fmt::print(stderr, "  {} of {}: state {}, gate {}, operation: {}, fault: {}\n", one.id, one.vm,
                 static_cast<int>(one.state), static_cast<int>(one.gate), one.has_operation,
                 one.fault ? one.fault->message : "none");
    }
    std::abort();
  }
  static std::vector<host::Function> functions() {
    std::vector<host::Function> all;
    for (std::uint16_t i = 0; i < kFunctions; ++i) all.push_back({.index = i});
    return all;
  }
  agent::Operation follow(const RequestId& request, const agent::Operation& accepted) {
    answered.emplace(request, accepted.id);
    if (after_each) after_each();
    return run(agent->operations().wait(accepted.id)).value();
  }
};

}  // namespace berth::testing
