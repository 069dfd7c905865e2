// Updates of what has VFs: the rate that a PF keeps of each, and a host that is rebooted in the middle.
#include "agent/records.h"
#include "tests/flow/vf_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::OperationKind;

agent::UpdateIntent faster(const AttachmentId& id, std::uint8_t number, std::uint64_t rate) {
  const auto named = make_interface("blue", number);
  return {.request = RequestId::trusted("faster"),
          .attachment = id,
          .interfaces = {{.vpc = named.vpc, .mac = named.mac, .rate_from_vm = rate}}};
}

// Of vm-1, with 2 Mbit/s.
AttachmentId attach_slow(VfLife& life) {
  life.set_up();
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.interfaces[0].rates.from_vm = 2'000'000;
  return life.attach(wanted)->attachment;
}

TEST(VfUpdate, ThePfKeepsTheNewRateAndTheMacStays) {
  VfHost host;
  VfLife life(host);
  const auto id = attach_slow(life);
  const auto plugged = host.vms.plugged;
  const auto writes = host.kernel->writes().size();
  host.attributes.settings.at({kPf, 0}).mac = mac("02:00:00:00:00:99");  // nobody touches it
  const auto accepted = life.run(life.agent.update(faster(id, 5, 7'000'000)));
  ASSERT_TRUE(accepted);
  const auto ended = life.run(life.agent.operations().wait(accepted->id));
  ASSERT_FALSE(ended->error) << ended->error->message;
  const auto& settings = host.attributes.settings.at({kPf, 0});
  EXPECT_EQ(settings.rate->max_mbits, 7U);
  EXPECT_EQ(settings.mac, mac("02:00:00:00:00:99"));
  EXPECT_EQ(host.vms.plugged, plugged);
  EXPECT_EQ(host.kernel->writes().size(), writes) << "the function itself is left alone";
}

TEST(VfUpdate, ARateThatThePfRefusesIsNobodys) {
  VfHost host;
  VfLife life(host);
  const auto id = attach_slow(life);
  const auto rules = host.eswitch.rules;
  host.attributes.refuses = true;
  const auto accepted = life.run(life.agent.update(faster(id, 5, 7'000'000)));
  const auto ended = life.run(life.agent.operations().wait(accepted->id));
  EXPECT_EQ(ended->error.value_or(Error()).reason, "VF_ATTRIBUTE_REFUSED");
  EXPECT_EQ(host.eswitch.rules, rules);
  EXPECT_EQ(life.agent.attachments().get(id)->interfaces[0].intent.rates.from_vm, 2'000'000U);
  host.attributes.refuses = false;
  run_until_done(life.io, life.agent.audit());
  EXPECT_EQ(life.agent.audit_report().found, 0U);
}

// While it stages, moves, verifies, and when it is kept.
class VfUpdateReboot : public ::testing::TestWithParam<std::size_t> {};

TEST_P(VfUpdateReboot, EndsTheUpdateOnceAndRestoresWhatWasTold) {
  VfHost host;
  AttachmentId id;
  std::string etag;
  OperationId operation;
  std::size_t applied = 0;
  {
    VfLife life(host);
    life.set_up();
    auto blue = make_vpc("blue", 7001);
    for (const char* name : {"web", "mail"})
      blue.policy_groups.push_back({.id = dataplane::PolicyGroupId::trusted(name), .rules = {}});
    ASSERT_TRUE(life.run(life.agent.push_vpcs({.vpcs = make_vpcs({blue}), .version = 2})).value().empty());
    auto wanted = VfLife::intent("vm-1", 5);
    wanted.interfaces[0].policy_groups = {blue.policy_groups[0].id};
    id = life.attach(wanted)->attachment;
    etag = etag_of(*life.agent.attachments().find(id));
    host.eswitch.before_apply = [&]() -> Task<void> {
      if (++applied != GetParam()) co_return Result<void>();
      co_return co_await for_ever();
    };
    auto update = faster(id, 5, 7'000'000);
    update.interfaces[0].policy_groups = {blue.policy_groups[1].id};
    const auto accepted = life.run(life.agent.update(update));
    ASSERT_TRUE(accepted);
    operation = accepted->id;
    while (applied != GetParam()) life.io.run_one();
  }
  go_on(host);
  host.reboot();
  const bool is_kept = GetParam() == 4;
  for (int i = 0; i < 2; ++i) {
    VfLife life(host);
    ASSERT_TRUE(life.start());
    const auto ended = life.run(life.agent.operations().find(operation));
    ASSERT_TRUE(ended);
    EXPECT_TRUE(ended->done);
    EXPECT_EQ(ended->kind, OperationKind::kUpdate);
    EXPECT_EQ(ended->error.value_or(Error()).reason, is_kept ? "" : "HOST_REBOOTED");
    EXPECT_EQ(ended->revision, 2U) << "it has ended once";
    const auto now = life.agent.attachments().get(id);
    EXPECT_EQ(now->state, AttachmentState::kAttached);
    EXPECT_FALSE(now->has_operation);
    EXPECT_EQ(now->interfaces[0].intent.rates.from_vm, is_kept ? 7'000'000U : 0U);
    EXPECT_EQ(host.attributes.settings.at({kPf, 0}).rate->max_mbits, is_kept ? 7U : 0U);
    const auto resynced = life.run(life.agent.resync()).value();
    EXPECT_EQ(resynced.added_count + resynced.removed_count, 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(Moments, VfUpdateReboot, ::testing::Range(std::size_t{1}, std::size_t{5}));

TEST(VfUpdate, OneThatIsNotRestoredYetIsNotUpdated) {
  VfHost host;
  AttachmentId id;
  {
    VfLife life(host);
    life.set_up();
    id = life.attach(VfLife::intent("vm-1", 5))->attachment;
  }
  host.reboot();
  host.attributes.refuses = true;
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(life.run(life.agent.update(faster(id, 5, 7'000'000))).error().reason, "NOT_ATTACHED");
  EXPECT_FALSE(life.detach(id)->error);
}

}  // namespace
}  // namespace berth::testing
