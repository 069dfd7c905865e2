// The crash matrix: berthd is killed between any two things that it does in an attach, a detach, an update,
// an attach that fails and a detach that ends in quarantine: after every rule, every step at the function,
// every write to the disk and every word to the VMaaS, and while the disk is written to. The next process
// must bring the host to where the VMaaS wants it, and tell it of each operation, always with the same
// outcome.
#include "tests/flow/crash_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::Operation;

struct Scenario {
  std::string name;
  // What the VMaaS does. It does it again, request by request, after a kill.
  std::function<void(CrashWorld&)> wish;
  std::string failing_step;                  // of the functions' driver
  std::vector<AttachmentState> attachments;  // at the end, vm-1's included

  friend void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }
};

Operation attach_vm_2(CrashWorld& world) {
  return world.attach(CrashWorld::intent("vm-2", 6));
}

// Another rate and another group, as the VMaaS asks for it again and again.
agent::UpdateIntent change_of(const Operation& attached, const std::string& request, std::uint64_t rate,
                              std::vector<dataplane::PolicyGroupId> groups) {
  const auto named = make_interface("blue", 6);
  return {
      .request = RequestId::trusted(request),
      .attachment = attached.attachment,
      .interfaces = {
          {.vpc = named.vpc, .mac = named.mac, .rate_from_vm = rate, .policy_groups = std::move(groups)}}};
}

const std::vector<dataplane::PolicyGroupId> kWeb{dataplane::PolicyGroupId::trusted("web")};

std::vector<Scenario> scenarios() {
  return {
      {"update",
       [](CrashWorld& world) {
         const Operation attached = attach_vm_2(world);
         const Operation joined = world.update(change_of(attached, "join", 1'000'000, kWeb));
         ASSERT_FALSE(joined.error);
         EXPECT_EQ(joined.result->interfaces[0].intent.policy_groups, kWeb);
         EXPECT_FALSE(world.update(change_of(attached, "leave", 2'000'000, {})).error);
         const agent::Attachment now = world.agent->attachments().get(attached.attachment).value();
         EXPECT_EQ(now.interfaces[0].intent.rates.from_vm, 2'000'000U);
         EXPECT_TRUE(now.interfaces[0].intent.policy_groups.empty());
       },
       "",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      {"update_fails",
       [](CrashWorld& world) {
         const Operation attached = attach_vm_2(world);
         const Operation ended = world.update(change_of(attached, "join", 1'000'000, kWeb));
         EXPECT_EQ(ended.error.value_or(Error()).reason, "TOLD_TO_FAIL");
         const agent::Attachment now = world.agent->attachments().get(attached.attachment).value();
         EXPECT_EQ(now.interfaces[0].intent.rates.from_vm, 0U);
         EXPECT_TRUE(now.interfaces[0].intent.policy_groups.empty());
       },
       "set_rate",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      // Which of the two comes first is told by the operation, and true.
      {"update_is_withdrawn",
       [](CrashWorld& world) {
         const Operation attached = attach_vm_2(world);
         const Operation ended = world.update_and_withdraw(change_of(attached, "join", 1'000'000, kWeb));
         const agent::Attachment now = world.agent->attachments().get(attached.attachment).value();
         EXPECT_EQ(now.interfaces[0].intent.policy_groups.empty(), ended.error.has_value());
         EXPECT_EQ(now.interfaces[0].intent.rates.from_vm == 0, ended.error.has_value());
       },
       "",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      {"attach",
       [](CrashWorld& world) { EXPECT_FALSE(attach_vm_2(world).error); },
       "",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      {"detach",
       [](CrashWorld& world) {
         const Operation attached = attach_vm_2(world);
         EXPECT_FALSE(attached.error);
         EXPECT_FALSE(world.detach("bye", attached.attachment).error);
       },
       "",
       {AttachmentState::kAttached}},
      {"two_interfaces",
       [](CrashWorld& world) {
         agent::AttachIntent intent = CrashWorld::intent("vm-2", 6);
         intent.interfaces.push_back(make_interface("blue", 7));
         const Operation attached = world.attach(intent);
         EXPECT_FALSE(attached.error);
         EXPECT_FALSE(world.detach("bye", attached.attachment).error);
       },
       "",
       {AttachmentState::kAttached}},
      {"policy_groups",
       [](CrashWorld& world) {
         agent::AttachIntent intent = CrashWorld::intent("vm-2", 6);
         intent.interfaces[0].policy_groups = {dataplane::PolicyGroupId::trusted("web")};
         const Operation attached = world.attach(intent);
         EXPECT_FALSE(attached.error);
         EXPECT_FALSE(world.detach("bye", attached.attachment).error);
         intent.request = RequestId::trusted("again");
         EXPECT_FALSE(world.attach(intent).error);
       },
       "",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      // What was freed comes after what nobody had, whenever berthd is killed.
      {"allocated",
       [](CrashWorld& world) {
         agent::AttachIntent intent = CrashWorld::intent("vm-2", 6);
         intent.interfaces[0].ips.clear();
         intent.interfaces[0].allocate = {prefix("10.1.0.0/24")};
         const Operation first = world.attach(intent);
         ASSERT_FALSE(first.error);
         EXPECT_EQ(first.result->interfaces[0].intent.ips, std::vector{ip("10.1.0.40")});
         EXPECT_FALSE(world.detach("bye", first.attachment).error);
         intent.request = RequestId::trusted("again");
         const Operation second = world.attach(intent);
         ASSERT_FALSE(second.error);
         EXPECT_EQ(second.result->interfaces[0].intent.ips, std::vector{ip("10.1.0.41")});
       },
       "",
       {AttachmentState::kAttached, AttachmentState::kAttached}},
      {"attach_fails",
       [](CrashWorld& world) {
         EXPECT_EQ(attach_vm_2(world).error.value_or(Error()).reason, "TOLD_TO_FAIL");
       },
       "plug",
       {AttachmentState::kAttached}},
      {"quarantine",
       [](CrashWorld& world) {
         const Operation attached = attach_vm_2(world);
         EXPECT_FALSE(world.detach("bye", attached.attachment).error);
       },
       "reset",
       {AttachmentState::kAttached, AttachmentState::kQuarantined}},
  };
}

// A host with one VM, before anything happens to the other.
Remains before() {
  CrashWorld world;
  world.start();
  world.set_up();
  EXPECT_FALSE(world.attach(CrashWorld::intent("vm-1", 5)).error);
  world.settle();
  world.stop();
  return world.remains();
}

// Every moment at which anything outside of the process was different from before.
std::vector<Remains> moments(const Scenario& scenario, const Remains& begin) {
  CrashWorld world(begin);
  world.driver.failing = {scenario.failing_step};
  world.start();
  std::vector<Remains> all;
  const auto look = [&] {
    Remains now = world.remains();
    if (all.empty() || !all.back().is_like(now)) all.push_back(std::move(now));
  };
  world.after_each = look;
  world.eswitch.on_change = look;
  world.driver.on_change = look;
  scenario.wish(world);
  world.settle();
  return all;
}

void expect_one_outcome(const CrashWorld& world) {
  std::map<OperationId, std::string> outcomes;
  for (const Operation& told : world.vmaas.told) {
    const std::string outcome = told.error ? told.error->reason : "done";
    const auto [known, is_new] = outcomes.emplace(told.id, outcome);
    EXPECT_EQ(known->second, outcome) << told.id.str() << " ended in two ways";
  }
  for (const auto& [request, operation] : world.answered) {
    EXPECT_TRUE(outcomes.contains(operation)) << "nobody told how " << request.str() << " ended";
  }
}

void expect_nothing_leaks(CrashWorld& world, const Scenario& scenario) {
  std::vector<AttachmentState> states;
  std::set<std::uint16_t> attached;
  std::set<std::uint16_t> leased;
  for (const agent::Attachment& attachment : world.agent->attachments().list()) {
    states.push_back(attachment.state);
    for (const agent::Interface& one : attachment.interfaces) {
      leased.insert(one.function.index);
      if (attachment.state != AttachmentState::kAttached) continue;
      attached.insert(one.function.index);
      EXPECT_EQ(world.driver.rates.at(one.function.index), one.intent.rates.from_vm);
    }
  }
  EXPECT_THAT(states, ::testing::UnorderedElementsAreArray(scenario.attachments));
  std::set<std::uint16_t> plugged;
  for (const auto& [function, vm] : world.driver.plugged) plugged.insert(function);
  EXPECT_EQ(plugged, attached);
  EXPECT_EQ(world.driver.bound, attached);
  for (std::uint16_t i = 0; i < CrashWorld::kFunctions; ++i) {
    EXPECT_EQ(world.eswitch.names(dataplane::EswitchPort::function(i)), leased.contains(i)) << "vf" << i;
  }
  const auto resynced = world.run(world.agent->resync()).value();
  EXPECT_EQ(resynced.added_count + resynced.removed_count, 0U) << "rules are not those that are wanted";
  EXPECT_EQ(world.on_disk().attachments.size(), states.size());
}

class Killed : public ::testing::TestWithParam<Scenario> {};

TEST_P(Killed, AtAnyMomentTheNextProcessFinishesAndTellsOneOutcome) {
  const Remains begin = before();
  const auto all = moments(GetParam(), begin);
  EXPECT_GT(all.size(), 20U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(fmt::format("killed at moment {} of {}", i, all.size()));
    CrashWorld world(all[i]);
    world.driver.failing = {GetParam().failing_step};
    world.start();
    GetParam().wish(world);
    world.settle();
    expect_one_outcome(world);
    expect_nothing_leaks(world, GetParam());
    if (HasFailure()) break;
  }
  RecordProperty("moments", static_cast<int>(all.size()));
}

// And killed again while it finishes: every second moment of the second life, of every fifth of the first.
TEST_P(Killed, TwiceItIsTheSame) {
  const auto first = moments(GetParam(), before());
  for (std::size_t i = 0; i < first.size(); i += 5) {
    const auto second = moments(GetParam(), first[i]);
    for (std::size_t j = 0; j < second.size(); j += 2) {
      SCOPED_TRACE(fmt::format("killed at moment {}, then at {}", i, j));
      CrashWorld world(second[j]);
      world.driver.failing = {GetParam().failing_step};
      world.start();
      GetParam().wish(world);
      world.settle();
      expect_one_outcome(world);
      expect_nothing_leaks(world, GetParam());
      if (HasFailure()) return;
    }
  }
}

// What CancelOperation has answered holds for the next process, too.
TEST(KilledUpdate, OneThatIsWithdrawnIsTakenBackByTheNextProcess) {
  CrashWorld world(before());
  world.start();
  const Operation attached = attach_vm_2(world);
  world.eswitch.before_apply = [] { return sleep_for(std::chrono::hours(1)); };
  const auto intent = change_of(attached, "join", 1'000'000, kWeb);
  const auto accepted = world.run(world.agent->update(intent));
  ASSERT_TRUE(accepted);
  EXPECT_FALSE(world.run(world.agent->cancel(accepted->id))->done);
  CrashWorld next(world.remains());
  next.start();
  const auto ended = next.run(next.agent->operations().wait(accepted->id));
  EXPECT_EQ(ended->error.value_or(Error()).reason, "WITHDRAWN");
  EXPECT_TRUE(ended->result->interfaces[0].intent.policy_groups.empty());
}

INSTANTIATE_TEST_SUITE_P(CrashMatrix, Killed, ::testing::ValuesIn(scenarios()),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace berth::testing
