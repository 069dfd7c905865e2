// Attach and detach with VFs on a kernel that reacts: what each fault ends in, and that nobody gets what was
// not proven clean.
#include "agent/start_arguments.h"
#include "tests/flow/vf_world.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using agent::StepStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(VfAttach, GivesTheVmAVfThatVfioOwns) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.interfaces[0].rates.from_vm = 2'500'000;
  const auto attached = life.attach(wanted);
  ASSERT_TRUE(attached);
  ASSERT_FALSE(attached->error) << attached->error->message;
  for (const auto& step : attached->steps) EXPECT_EQ(step.status, StepStatus::kDone) << step.name;
  const auto vf = host.vf(0);
  EXPECT_EQ(attached->result->interfaces[0].function.address, vf);
  EXPECT_EQ(host.kernel->driver_of(vf), "vfio-pci");
  EXPECT_EQ(host.vms.plugged.at("berth-vf0-g0"), std::pair(VmId::trusted("vm-1"), vf));
  const auto& settings = host.attributes.settings.at({kPf, 0});
  EXPECT_EQ(settings.mac, wanted.interfaces[0].mac);
  EXPECT_EQ(settings.rate->max_mbits, 3U) << "2.5 Mbit/s, rounded up";
  EXPECT_EQ(settings.is_trusted, false);
}

// Somebody resets the VF's MAC, and somebody takes the device out of the VM by hand.
TEST(VfAudit, WhatWasChangedByHandIsPutRightAndTold) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto wanted = VfLife::intent("vm-1", 5);
  ASSERT_FALSE(life.attach(wanted)->error);
  host.attributes.settings[{kPf, 0}].mac = mac("02:00:00:00:00:99");
  life.run(host.vms.unplug(VmId::trusted("vm-1"), "berth-vf0-g0")).value();
  run_until_done(life.io, life.agent.audit());
  std::vector<std::string> lines;
  for (const auto& finding : life.agent.audit_report().findings)
    lines.push_back(finding.what + finding.refusal);
  EXPECT_THAT(lines, ElementsAre("vm-1 runs without berth-vf0-g0",
                                 host.vf(0).str() + ": MAC, rate or trust are not its own"));
  EXPECT_EQ(host.attributes.settings.at({kPf, 0}).mac, wanted.interfaces[0].mac);
  EXPECT_TRUE(host.vms.plugged.contains("berth-vf0-g0"));

  host.vms.is_running = false;
  host.vms.plugged.clear();
  run_until_done(life.io, life.agent.audit());
  EXPECT_EQ(life.agent.audit_report().found, 2U) << "a VM that does not run has lost nothing";
}

TEST(VfDetach, BringsTheVfBackCleanAndOfTheNextGeneration) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  const auto detached = life.detach(attached->attachment);
  ASSERT_TRUE(detached);
  EXPECT_FALSE(detached->error);
  EXPECT_FALSE(detached->result) << "it is gone";
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  expect_clean(host, 0);
  ASSERT_FALSE(life.attach(VfLife::intent("vm-2", 6))->error);  // the other VF, which has rested longer
  ASSERT_FALSE(life.attach(VfLife::intent("vm-3", 7))->error);
  EXPECT_TRUE(host.vms.plugged.contains("berth-vf0-g1"));
}

TEST(VfDetach, TwentyCyclesLeaveNothing) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto rules = host.eswitch.rules;
  const auto count_fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  std::ptrdiff_t fds = 0;
  for (int cycle = 0; cycle < 20; ++cycle) {
    auto wanted = VfLife::intent("vm-1", 5);
    wanted.request = RequestId::trusted(fmt::format("req-{}", cycle));
    const auto attached = life.attach(wanted);
    ASSERT_FALSE(attached->error) << attached->error->message;
    ASSERT_FALSE(life.detach(attached->attachment)->error);
    if (cycle == 0) fds = count_fds();
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_EQ(host.eswitch.rules, rules);
  expect_clean(host, 0);
  expect_clean(host, 1);
}

TEST(VfAttach, AVmThatDoesNotRunYetGetsItsArgumentsInstead) {
  VfHost host;
  host.vms.is_running = false;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error);
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  EXPECT_THAT(agent::start_arguments(attached->result->interfaces[0]).libvirt_xml,
              HasSubstr("bus='0x01' slot='0x10'"));
}

// A fault of the way in: the operation names it, and all is undone at once.
struct AttachFault {
  std::string name;
  std::function<void(VfHost&)> begin;
  std::function<void(VfHost&)> end;
  std::string step;
  std::string reason;
};
class VfAttachFault : public ::testing::TestWithParam<AttachFault> {};

TEST_P(VfAttachFault, IsNamedAndUndone) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  GetParam().begin(host);
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached && attached->error);
  EXPECT_EQ(attached->error->reason, GetParam().reason) << attached->error->message;
  EXPECT_THAT(attached->error->message, HasSubstr("attach vm-1 to blue: " + GetParam().step));
  EXPECT_THAT(life.agent.attachments().list(), IsEmpty());
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  expect_clean(host, 0);
  GetParam().end(host);
  auto again = VfLife::intent("vm-1", 5);
  again.request = RequestId::trusted("again");
  const auto second = life.attach(again);
  EXPECT_FALSE(second->error) << second->error->message;
}

FakeKernel::Device neighbour_of(const VfHost& host, const std::string& driver) {
  return {.address = pci("0000:05:00.0"),
          .host_driver = driver,
          .group = host.kernel->tree().group_of(host.vf(0))};
}

INSTANTIATE_TEST_SUITE_P(
    Faults, VfAttachFault,
    ::testing::Values(
        AttachFault{"BindRefused", [](auto& host) { host.kernel->set_probes_bind(false); },
                    [](auto& host) { host.kernel->set_probes_bind(true); }, "bind", "BIND_REFUSED"},
        AttachFault{"ProbeFails", [](auto& host) { host.kernel->refuse("drivers_probe", EIO); },
                    [](auto& host) { host.kernel->refuse("drivers_probe", 0); }, "bind", "BIND_REFUSED"},
        AttachFault{"GroupNotViable", [](auto& host) { host.kernel->add(neighbour_of(host, "nvme")); },
                    [](auto& host) { host.kernel->unplug(pci("0000:05:00.0")); }, "bind", "GROUP_NOT_VIABLE"},
        AttachFault{"SlotOccupied", [](auto& host) { host.vms.has_free_slot = false; },
                    [](auto& host) { host.vms.has_free_slot = true; }, "plug", "NO_FREE_SLOT"}),
    [](const auto& param) { return param.param.name; });

// A fault of the way out, or one that hides what became of the function: it is quarantined by name, nobody
// gets it, and once the fault is over it comes back by itself.
struct QuarantineFault {
  std::string name;
  std::function<void(VfHost&)> begin;
  std::function<void(VfHost&)> end;
  std::string reason;
};
class VfQuarantine : public ::testing::TestWithParam<QuarantineFault> {};

TEST_P(VfQuarantine, NobodyGetsTheFunctionUntilItIsProvenClean) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error);
  GetParam().begin(host);
  const auto detached = life.detach(attached->attachment);
  ASSERT_TRUE(detached && detached->result);
  EXPECT_FALSE(detached->error) << "the VM is out of its VPC";
  EXPECT_EQ(detached->result->state, AttachmentState::kQuarantined);
  ASSERT_TRUE(detached->result->fault);
  EXPECT_EQ(detached->result->fault->reason, GetParam().reason) << detached->result->fault->message;
  EXPECT_EQ(host.eswitch.count(dataplane::Purpose::kSpoofDrop), 1U) << "default drop";
  EXPECT_EQ(host.eswitch.count(dataplane::Purpose::kAdmit), 0U);

  // Its address is free and the other VF works; that VF is nobody's.
  const auto second = life.attach(VfLife::intent("vm-2", 5));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->attachment == attached->attachment, false);
  EXPECT_EQ(life.attach(VfLife::intent("vm-3", 7)).error().reason, "NO_FREE_FUNCTION");

  GetParam().end(host);
  life.wait_until_gone(attached->attachment);
  expect_clean(host, 0);
  const auto third = life.attach(VfLife::intent("vm-3", 7));
  ASSERT_TRUE(third);
  EXPECT_FALSE(third->error) << third->error->message;
}

void hang(VfHost& host, const std::string& what) {
  host.kernel->hang(host.vf(0).str() + "/" + what);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, VfQuarantine,
    ::testing::Values(
        QuarantineFault{"GuestIgnoresUnplug", [](auto& host) { host.vms.guest_lets_go = false; },
                        [](auto& host) { host.vms.guest_lets_go = true; }, "GUEST_IGNORES_UNPLUG"},
        QuarantineFault{"QemuStillHoldsTheGroup", [](auto& host) { host.vms.keeps_groups_open = true; },
                        [](auto& host) { host.vms.close_groups(); }, "GROUP_HELD"},
        QuarantineFault{
            "ResetFails", [](auto& host) { host.kernel->refuse(host.vf(0).str() + "/reset", EIO); },
            [](auto& host) { host.kernel->refuse(host.vf(0).str() + "/reset", 0); }, "RESET_FAILED"},
        QuarantineFault{"ResetNeverReturns", [](auto& host) { hang(host, "reset"); },
                        [](auto& host) { host.kernel->let_go(); }, "SYSFS_WRITE_STUCK"},
        QuarantineFault{"AttributesAreNotCleared", [](auto& host) { host.attributes.refuses = true; },
                        [](auto& host) { host.attributes.refuses = false; }, "VF_ATTRIBUTE_REFUSED"},
        QuarantineFault{"OverrideNeverReturns", [](auto& host) { hang(host, "driver_override"); },
                        [](auto& host) { host.kernel->let_go(); }, "SYSFS_WRITE_STUCK"}),
    [](const auto& param) { return param.param.name; });

TEST(VfDetach, AFunctionThatDiesInItsResetIsNeverGivenAway) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  host.kernel->set_dies_at_reset(host.vf(0), true);
  const auto detached = life.detach(attached->attachment);
  EXPECT_EQ(detached->result->fault->reason, "DEAD_AFTER_RESET");
  for (int i = 0; i < 200; ++i) life.io.poll_one();
  EXPECT_NE(life.agent.attachments().find(attached->attachment), nullptr);
  EXPECT_EQ(host.kernel->override_of(host.vf(0)), "vfio-pci") << "no driver of the host's may take it either";
}

// An unbind that begins although the group was free: another process opened it in between.
TEST(VfDetach, AnUnbindThatNeverReturnsHoldsUpNobodyElse) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  host.kernel->hang("vfio-pci/unbind");
  const auto detached = life.detach(attached->attachment);
  EXPECT_EQ(detached->result->fault->reason, "SYSFS_WRITE_STUCK");
  EXPECT_THAT(detached->result->fault->message, HasSubstr("unbind"));
  const auto second = life.attach(VfLife::intent("vm-2", 6));
  EXPECT_FALSE(second->error);
  host.kernel->let_go();
  life.wait_until_gone(attached->attachment);
  expect_clean(host, 0);
}

TEST(VfAttach, AWriteThatNeverReturnsLeavesTheFunctionInQuarantine) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  host.kernel->hang("drivers_probe");
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "SYSFS_WRITE_STUCK");
  ASSERT_EQ(life.agent.attachments().list().size(), 1U);
  EXPECT_EQ(life.agent.attachments().list()[0].state, AttachmentState::kQuarantined);
  EXPECT_EQ(life.agent.attachments().list()[0].fault->reason, "SYSFS_WRITE_STUCK");
  host.kernel->let_go();
  life.wait_until_gone(attached->attachment);
  expect_clean(host, 0);
}

TEST(VfAttach, LostUeventsAreSurvived) {
  VfHost host;
  host.kernel->set_uevents(FakeKernel::Uevents::kLost);
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error);
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  expect_clean(host, 0);
}

TEST(VfAttach, LateUeventsChangeNothing) {
  VfHost host;
  host.kernel->set_uevents(FakeKernel::Uevents::kLate);
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error);
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  const auto second = life.attach(VfLife::intent("vm-2", 6));
  host.kernel->tell_late_uevents();  // "unbind" of the function that vm-2 has now is among them
  for (int i = 0; i < 200; ++i) life.io.poll_one();
  EXPECT_EQ(life.agent.attachments().get(second->attachment)->state, AttachmentState::kAttached);
  EXPECT_EQ(host.vms.plugged.size(), 1U);
}

TEST(VfAttach, AFunctionThatSomebodyElseHasIsNotTouched) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto vf = host.vf(0);
  const auto tree = host.kernel->tree();
  ASSERT_TRUE(host.kernel->write(tree.device(vf) / "driver_override", "vfio-pci"));
  ASSERT_TRUE(host.kernel->write(tree.drivers_probe(), vf.str()));
  ASSERT_TRUE(host.kernel->open_group(vf));
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "GROUP_HELD");
  EXPECT_EQ(life.agent.attachments().list()[0].state, AttachmentState::kQuarantined);
  host.kernel->close_group(vf);
  life.wait_until_gone(attached->attachment);
}

// berthd ends (what runs in the kernel goes on) at one place after the other; the next one finishes.
class VfKilled : public ::testing::TestWithParam<StopPoint> {};

TEST_P(VfKilled, WhileItAttachesTheNextLifeFinishesIt) {
  VfHost host;
  const auto id = attach_and_stop(host, VfLife::intent("vm-1", 5), GetParam().stop_there);
  go_on(host);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto ended = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(ended) << "the same request is the same operation: " << ended.error().message;
  ASSERT_FALSE(ended->error) << ended->error->message;
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kAttached);
  EXPECT_EQ(host.vms.plugged.size(), 1U);
  EXPECT_EQ(host.kernel->driver_of(host.vf(0)), "vfio-pci");
  ASSERT_FALSE(life.detach(id)->error);
  expect_clean(host, 0);
}

INSTANTIATE_TEST_SUITE_P(
    At, VfKilled,
    ::testing::Values(StopPoint{"Close", [](auto& host) { host.eswitch.before_apply = for_ever; }},
                      StopPoint{"Override", [](auto& host) { hang(host, "driver_override"); }},
                      StopPoint{"Probe", [](auto& host) { host.kernel->hang("drivers_probe"); }},
                      StopPoint{"Plug", [](auto& host) { host.vms.before_plug = for_ever; }},
                      StopPoint{"Plugged", [](auto& host) { host.vms.after_plug = for_ever; }}),
    [](const auto& param) { return param.param.name; });

// The VMM closes its files a little after it has let go of the device.
TEST(VfKilledAfterThePlug, TheNextLifeWaitsForTheVmm) {
  VfHost host;
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.devices = {kGpu, kGpuSound, kDrive};
  const auto id = attach_and_stop(host, wanted, [](VfHost& there) { there.vms.after_plug = for_ever; });
  ASSERT_TRUE(host.vms.plugged.contains("berth-vf0-g0"));
  host.vms.after_plug = nullptr;
  host.vms.keeps_groups_open = true;
  VfLife life(host, kPatient);
  ASSERT_TRUE(life.start());
  run_until_stopped(life);
  ASSERT_THAT(host.vms.plugged, IsEmpty());
  host.vms.keeps_groups_open = false;
  host.vms.close_groups();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (life.agent.attachments().list().at(0).has_operation) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    life.io.run_one_for(std::chrono::seconds(1));
  }
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kAttached);
  EXPECT_EQ(host.vms.plugged.size(), 4U);
  ASSERT_FALSE(life.detach(id)->error);
  expect_clean(host, 0);
}

// What the guest does not give back cannot be given to it anew; nobody else gets it either.
TEST(VfKilledAfterThePlug, AGuestThatKeepsItEndsTheAttach) {
  VfHost host;
  const auto id = attach_and_stop(host, VfLife::intent("vm-1", 5),
                                  [](VfHost& there) { there.vms.after_plug = for_ever; });
  host.vms.after_plug = nullptr;
  host.vms.guest_lets_go = false;
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto again = life.run(life.agent.attach(VfLife::intent("vm-1", 5)));
  const auto ended = life.run(life.agent.operations().wait(again->id));
  ASSERT_TRUE(ended->error);
  EXPECT_EQ(ended->error->reason, "GUEST_IGNORES_UNPLUG");
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kQuarantined);
  EXPECT_EQ(host.eswitch.count(dataplane::Purpose::kAdmit), 0U);
  host.vms.guest_lets_go = true;
  life.wait_until_gone(id);
  expect_clean(host, 0);
}

class VfKilledDetaching : public ::testing::TestWithParam<StopPoint> {};

TEST_P(VfKilledDetaching, TheNextLifeFinishesIt) {
  VfHost host;
  const auto id = detach_and_stop(host, VfLife::intent("vm-1", 5), GetParam().stop_there);
  go_on(host);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  life.wait_until_gone(id);
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  expect_clean(host, 0);
  ASSERT_FALSE(life.attach(VfLife::intent("vm-2", 6))->error);
}

INSTANTIATE_TEST_SUITE_P(
    At, VfKilledDetaching,
    ::testing::Values(StopPoint{"Withdraw", [](auto& host) { host.eswitch.before_apply = for_ever; }},
                      StopPoint{"Unbind", [](auto& host) { host.kernel->hang("vfio-pci/unbind"); }},
                      StopPoint{"Reset", [](auto& host) { hang(host, "reset"); }},
                      StopPoint{"Config", [](auto& host) { hang(host, "config"); }},
                      StopPoint{"Override", [](auto& host) { hang(host, "driver_override"); }}),
    [](const auto& param) { return param.param.name; });

TEST(VfRestart, GenerationsAndAddressesOutliveTheProcess) {
  VfHost host;
  {
    VfLife life(host);
    life.set_up();
    const auto first = life.attach(VfLife::intent("vm-1", 5));
    ASSERT_FALSE(life.detach(first->attachment)->error);
    ASSERT_FALSE(life.attach(VfLife::intent("vm-2", 6))->error);
    ASSERT_FALSE(life.attach(VfLife::intent("vm-3", 7))->error);
  }
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto all = life.agent.attachments().list();
  ASSERT_EQ(all.size(), 2U);
  for (const auto& one : all) {
    EXPECT_EQ(one.interfaces[0].function.generation, one.interfaces[0].function.index == 0 ? 1U : 0U);
    EXPECT_EQ(one.interfaces[0].function.address, host.vf(one.interfaces[0].function.index));
    ASSERT_FALSE(life.detach(one.id)->error);
  }
  expect_clean(host, 0);
  expect_clean(host, 1);
}

TEST(VfRestart, VfsThatAreGoneAreNamedAndNothingIsCreated) {
  VfHost host;
  {
    VfLife life(host);
    life.set_up();
    ASSERT_FALSE(life.attach(VfLife::intent("vm-1", 5))->error);
  }
  host.kernel->close_group(host.vf(0));
  ASSERT_TRUE(host.kernel->write(host.kernel->tree().device(kPf) / "sriov_numvfs", "0"));
  const auto before = host.kernel->writes().size();
  VfLife life(host);
  EXPECT_EQ(life.start().error().reason, "VFS_LOST");
  EXPECT_EQ(host.kernel->writes().size(), before);
}

}  // namespace
}  // namespace berth::testing
