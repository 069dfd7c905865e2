// The host goes down and comes back: what was attached is attached again before anybody is served, and what
// cannot be is known by its fault.
#include "agent/start_arguments.h"
#include "tests/flow/vf_world.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using dataplane::Purpose;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint8_t kElsewhere = 24;  // where the VFs are after a reboot, by device number

agent::AttachIntent with_gpu(const std::string& vm, std::uint8_t octet) {
  auto intent = VfLife::intent(vm, octet);
  intent.devices = {kGpu, kGpuSound};
  return intent;
}

// Comes with a reboot: it is in the GPU's IOMMU group, and a driver of the host's has it.
const host::PciAddress kGpuAudio = pci("0000:02:00.2");

// What a life attached, as the next ones find it.
AttachmentId attach_once(VfHost& host, const agent::AttachIntent& wanted) {
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(wanted);
  EXPECT_TRUE(attached && !attached->error);
  return attached->attachment;
}

// The drive is what the host's root file system is on.
void mount_drive(const VfHost& host) {
  const auto place = std::filesystem::canonical(host.kernel->tree().device(kDrive)) / "block/nvme0n1";
  std::filesystem::create_directories(place);
  std::filesystem::create_directories(host.kernel->root / "sys/class/block");
  std::filesystem::create_symlink(place, host.kernel->root / "sys/class/block/nvme0n1");
  std::ofstream(place / "dev") << "8:1\n";
}

// What the next process would find.
agent::Attachment on_disk(VfLife& life) {
  return life.state.load().value().attachments.at(0).attachment;
}

void wait_until_attached(VfLife& life, const AttachmentId& id) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (life.agent.attachments().get(id)->state != AttachmentState::kAttached) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << life.agent.attachments().get(id)->fault->message;
    life.io.run_one_for(std::chrono::seconds(1));
  }
}

TEST(VfReboot, WhatWasAttachedIsAttachedAgainBeforeAnybodyIsServed) {
  VfHost host;
  const auto id = attach_once(host, with_gpu("vm-1", 5));
  const auto rules = host.eswitch.rules;
  const auto before = host.vf(0);
  host.reboot(kElsewhere);
  ASSERT_EQ(host.kernel->driver_of(kGpu), "");
  {
    VfLife life(host);
    const auto started = life.start();
    ASSERT_TRUE(started) << started.error().message;
    const auto again = life.agent.attachments().get(id);
    EXPECT_EQ(again->state, AttachmentState::kAttached);
    EXPECT_EQ(again->interfaces[0].function.generation, 0U) << "the lease is the same";
    EXPECT_EQ(again->interfaces[0].function.address, host.vf(0));
    EXPECT_NE(host.vf(0), before);
    EXPECT_THAT(agent::start_arguments(again->interfaces[0]).libvirt_xml, HasSubstr("slot='0x18'"));
    EXPECT_EQ(host.attributes.settings.at({kPf, 0}).mac, again->interfaces[0].intent.mac);
  }
  EXPECT_EQ(host.eswitch.rules, rules);
  for (const auto& function : {host.vf(0), kGpu, kGpuSound})
    EXPECT_EQ(host.kernel->driver_of(function), "vfio-pci") << function.str();
  EXPECT_THAT(host.vms.plugged, IsEmpty()) << "the VM gets them when it is started";

  // The next process finds it like any other attachment.
  VfLife life(host);
  EXPECT_EQ(on_disk(life).state, AttachmentState::kAttached);
  EXPECT_EQ(on_disk(life).interfaces[0].function.address, host.vf(0));
  const auto writes = host.kernel->writes().size();
  ASSERT_TRUE(life.start());
  EXPECT_EQ(host.kernel->writes().size(), writes);
  EXPECT_EQ(life.agent.attachments().get(id)->interfaces[0].function.address, host.vf(0));
  ASSERT_FALSE(life.detach(id)->error);
  expect_clean(host, 0);
  EXPECT_EQ(host.kernel->driver_of(kGpu), "");
}

TEST(VfReboot, EveryInterfaceIsRestored) {
  VfHost host;
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.interfaces.push_back(make_interface("blue", 6));
  const auto id = attach_once(host, wanted);
  const auto rules = host.eswitch.rules;
  host.reboot(kElsewhere);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto again = life.agent.attachments().get(id);
  EXPECT_EQ(again->state, AttachmentState::kAttached);
  for (std::uint16_t i = 0; i < kVfs; ++i) {
    EXPECT_EQ(again->interfaces[i].function.address, host.vf(i));
    EXPECT_EQ(host.kernel->driver_of(host.vf(i)), "vfio-pci");
    EXPECT_EQ(host.attributes.settings.at({kPf, i}).mac, again->interfaces[i].intent.mac);
  }
  EXPECT_EQ(host.eswitch.rules, rules);
  EXPECT_EQ(life.agent.capacity().functions_free, 0U);
}

TEST(VfReboot, TheNextLeaseIsOfTheNextGeneration) {
  VfHost host;
  const auto id = attach_once(host, VfLife::intent("vm-1", 5));
  host.reboot();
  VfLife life(host);
  ASSERT_TRUE(life.start());
  ASSERT_FALSE(life.detach(id)->error);
  host.vms.is_running = true;
  ASSERT_FALSE(life.attach(VfLife::intent("vm-2", 6))->error);
  ASSERT_FALSE(life.attach(VfLife::intent("vm-3", 7))->error);
  EXPECT_TRUE(host.vms.plugged.contains("berth-vf0-g1"));
}

TEST(VfReboot, AVmThatRunsAlreadyIsPlugged) {
  VfHost host;
  attach_once(host, with_gpu("vm-1", 5));
  host.reboot(kElsewhere);
  host.vms.is_running = true;
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(host.vms.plugged.at("berth-vf0-g0"), std::pair(VmId::trusted("vm-1"), host.vf(0)));
  EXPECT_EQ(host.vms.plugged.size(), 3U);
}

// An attempt that failed half-way has given the VM the function: the next one is not in its own way.
TEST(VfReboot, AnAttemptThatFailsWithTheFunctionInTheVmIsFollowedByAnother) {
  VfHost host;
  const auto id = attach_once(host, with_gpu("vm-1", 5));
  host.reboot(kElsewhere);
  host.vms.is_running = true;
  std::size_t plugs = 0;
  host.vms.before_plug = [&]() -> Task<void> {
    if (++plugs == 2) co_return fail(Code::kFailedPrecondition, "NO_FREE_SLOT", "told to be full");
    co_return Result<void>();
  };
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kRestoring);
  EXPECT_EQ(life.agent.attachments().get(id)->fault->reason, "NO_FREE_SLOT");
  EXPECT_TRUE(host.vms.plugged.contains("berth-vf0-g0"));
  EXPECT_EQ(host.eswitch.count(Purpose::kAdmit), 0U) << "the VM has it, and sends nothing";
  wait_until_attached(life, id);
  EXPECT_EQ(host.vms.plugged.size(), 3U);
  EXPECT_NE(host.eswitch.count(Purpose::kAdmit), 0U);
}

struct Fault {
  std::string name;
  std::function<void(VfHost&)> begin;
  std::function<void(VfHost&)> end;
  std::string reason;
};
class VfRebootFault : public ::testing::TestWithParam<Fault> {};

TEST_P(VfRebootFault, IsNamedAndTriedAgainUntilItIsOver) {
  VfHost host;
  const auto id = attach_once(host, with_gpu("vm-1", 5));
  host.reboot(kElsewhere);
  GetParam().begin(host);
  {
    VfLife life(host);
    const auto started = life.start();
    ASSERT_TRUE(started) << "others are served: " << started.error().message;
    const auto lost = life.agent.attachments().get(id);
    EXPECT_EQ(lost->state, AttachmentState::kRestoring);
    ASSERT_TRUE(lost->fault);
    EXPECT_EQ(lost->fault->reason, GetParam().reason) << lost->fault->message;
    EXPECT_EQ(host.eswitch.count(Purpose::kSpoofDrop), 1U) << "default drop";
    EXPECT_EQ(host.eswitch.count(Purpose::kAdmit), 0U);
    EXPECT_EQ(life.attach(VfLife::intent("vm-2", 5)).error().reason, "IP_TAKEN") << "it keeps what it has";
  }
  // Another process of the same boot knows it still.
  {
    VfLife life(host);
    ASSERT_TRUE(life.start());
    EXPECT_EQ(life.agent.attachments().get(id)->fault->reason, GetParam().reason);
    GetParam().end(host);
    wait_until_attached(life, id);
    EXPECT_FALSE(life.agent.attachments().get(id)->fault);
  }
  VfLife life(host);
  EXPECT_EQ(on_disk(life).state, AttachmentState::kAttached);
  EXPECT_EQ(on_disk(life).interfaces[0].function.address, host.vf(0));
}

TEST_P(VfRebootFault, TheVmaasMayDetachItInstead) {
  VfHost host;
  const auto id = attach_once(host, with_gpu("vm-1", 5));
  host.reboot(kElsewhere);
  GetParam().begin(host);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto detached = life.detach(id);
  ASSERT_TRUE(detached) << detached.error().message;
  EXPECT_FALSE(detached->error);
  GetParam().end(host);
  life.wait_until_gone(id);
  expect_clean(host, 0);
  EXPECT_EQ(host.kernel->driver_of(kGpu), "");
  EXPECT_EQ(life.agent.capacity().functions_free, kVfs);
  ASSERT_FALSE(life.attach(VfLife::intent("vm-2", 5))->error) << "its address is free";
}

INSTANTIATE_TEST_SUITE_P(
    Faults, VfRebootFault,
    ::testing::Values(Fault{"BindRefused", [](auto& host) { host.kernel->set_probes_bind(false); },
                            [](auto& host) { host.kernel->set_probes_bind(true); }, "BIND_REFUSED"},
                      Fault{"GroupNotViable",
                            [](auto& host) {
                              host.kernel->add({.address = kGpuAudio, .host_driver = "snd", .group = 2});
                            },
                            [](auto& host) { host.kernel->unplug(kGpuAudio); }, "GROUP_NOT_VIABLE"},
                      Fault{"AttributesRefused", [](auto& host) { host.attributes.refuses = true; },
                            [](auto& host) { host.attributes.refuses = false; }, "VF_ATTRIBUTE_REFUSED"}),
    [](const auto& param) { return param.param.name; });

// Addresses of devices follow slots: what was the VM's drive may be another one now.
TEST(VfReboot, ADeviceThatTheHostUsesNowIsNotTaken) {
  VfHost host;
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.devices = {kDrive};
  const auto id = attach_once(host, wanted);
  host.reboot();
  mount_drive(host);
  const auto resets = [&host] { return std::ranges::count(host.kernel->writes(), std::string("reset 1")); };
  const auto resets_before = resets();
  VfLife life(host);
  ASSERT_TRUE(life.start());
  ASSERT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kRestoring);
  EXPECT_EQ(life.agent.attachments().get(id)->fault->reason, "DEVICE_IN_USE_BY_HOST");
  EXPECT_EQ(host.kernel->driver_of(kDrive), "nvme");
  ASSERT_FALSE(life.detach(id)->error);
  EXPECT_EQ(host.kernel->driver_of(kDrive), "nvme");
  EXPECT_EQ(resets() - resets_before, 1) << "of the VF alone";
}

TEST(VfReboot, ADetachThatComesDuringAnAttemptHasTheLastWord) {
  VfHost host;
  const auto id = attach_once(host, VfLife::intent("vm-1", 5));
  host.reboot();
  host.kernel->set_probes_bind(false);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  Signal go_on(life.io.get_executor());
  std::size_t held_up = 0;
  host.vms.before_plug = [&]() -> Task<void> {
    ++held_up;
    return go_on.wait();
  };
  host.kernel->set_probes_bind(true);
  while (held_up == 0) life.io.run_one();
  const auto accepted = life.run(life.agent.detach({RequestId::trusted("bye"), id}));
  ASSERT_TRUE(accepted);
  go_on.notify_all();
  const auto ended = life.run(life.agent.operations().wait(accepted->id));
  EXPECT_FALSE(ended->error);
  EXPECT_EQ(life.agent.attachments().find(id), nullptr);
  expect_clean(host, 0);
}

// berthd ends in the middle of an attempt: the function is bound, and its row says that it is not restored.
AttachmentId kill_while_it_restores(VfHost& host) {
  const auto id = attach_once(host, with_gpu("vm-1", 5));
  host.reboot();
  host.kernel->set_probes_bind(false);
  VfLife life(host);
  EXPECT_TRUE(life.start());
  std::size_t held_up = 0;
  host.vms.before_plug = [&]() -> Task<void> {
    ++held_up;
    return sleep_for(std::chrono::hours(1));
  };
  host.kernel->set_probes_bind(true);
  while (held_up == 0) life.io.run_one();
  EXPECT_EQ(host.kernel->driver_of(host.vf(0)), "vfio-pci");
  return id;
}

TEST(VfReboot, WhatAKilledBerthdHadBegunToRestoreTheNextOneRestores) {
  VfHost host;
  const auto id = kill_while_it_restores(host);
  host.vms.before_plug = nullptr;
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kAttached);
}

TEST(VfReboot, OneRebootMayFollowTheOther) {
  VfHost host;
  const auto id = kill_while_it_restores(host);
  host.vms.before_plug = nullptr;
  host.reboot(kElsewhere);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_EQ(life.agent.attachments().get(id)->state, AttachmentState::kAttached);
  EXPECT_EQ(life.agent.attachments().get(id)->interfaces[0].function.address, host.vf(0));
}

TEST(VfReboot, AQuarantinedFunctionComesBackClean) {
  VfHost host;
  AttachmentId id;
  {
    VfLife life(host);
    life.set_up();
    id = life.attach(with_gpu("vm-1", 5))->attachment;
    host.vms.guest_lets_go = false;
    ASSERT_EQ(life.detach(id)->result->state, AttachmentState::kQuarantined);
  }
  host.reboot(kElsewhere);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  life.wait_until_gone(id);
  expect_clean(host, 0);
  EXPECT_EQ(life.agent.capacity().functions_free, kVfs);
}

class VfRebootAttaching : public ::testing::TestWithParam<StopPoint> {};

TEST_P(VfRebootAttaching, TheNextLifeAttachesIt) {
  VfHost host;
  const auto id = attach_and_stop(host, VfLife::intent("vm-1", 5), GetParam().stop_there);
  host.eswitch.before_apply = nullptr;
  host.vms.before_plug = nullptr;
  host.vms.after_plug = nullptr;
  host.reboot(kElsewhere);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto ended = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(ended) << "the same request is the same operation: " << ended.error().message;
  ASSERT_FALSE(ended->error) << ended->error->message;
  EXPECT_EQ(life.agent.attachments().get(id)->interfaces[0].function.address, host.vf(0));
  ASSERT_FALSE(life.detach(id)->error);
  expect_clean(host, 0);
}

INSTANTIATE_TEST_SUITE_P(
    At, VfRebootAttaching,
    ::testing::Values(StopPoint{"Close", [](auto& host) { host.eswitch.before_apply = for_ever; }},
                      StopPoint{"Override",
                                [](auto& host) { host.kernel->hang(host.vf(0).str() + "/driver_override"); }},
                      StopPoint{"Plug", [](auto& host) { host.vms.before_plug = for_ever; }},
                      StopPoint{"Plugged", [](auto& host) { host.vms.after_plug = for_ever; }}),
    [](const auto& param) { return param.param.name; });

// A half-way attach goes on after a reboot; what it was given then may be a disk of the host's now.
TEST(VfRebootAttach, ADeviceThatTheHostUsesNowIsNotTaken) {
  VfHost host;
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.devices = {kDrive};
  const auto id = attach_and_stop(host, wanted, [](VfHost& there) { there.vms.before_plug = for_ever; });
  ASSERT_EQ(host.kernel->driver_of(kDrive), "vfio-pci");
  host.vms.before_plug = nullptr;
  host.reboot();
  mount_drive(host);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (life.agent.attachments().find(id) != nullptr) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "it has been attached";
    life.io.run_one_for(std::chrono::seconds(1));
  }
  EXPECT_EQ(host.kernel->driver_of(kDrive), "nvme");
  expect_clean(host, 0);
}

class VfRebootDetaching : public ::testing::TestWithParam<StopPoint> {};

TEST_P(VfRebootDetaching, TheNextLifeDetachesIt) {
  VfHost host;
  const auto id = detach_and_stop(host, with_gpu("vm-1", 5), GetParam().stop_there);
  host.eswitch.before_apply = nullptr;
  host.reboot(kElsewhere);
  VfLife life(host);
  ASSERT_TRUE(life.start());
  life.wait_until_gone(id);
  expect_clean(host, 0);
  EXPECT_EQ(host.kernel->driver_of(kGpu), "");
  EXPECT_EQ(life.agent.capacity().functions_free, kVfs);
}

INSTANTIATE_TEST_SUITE_P(
    At, VfRebootDetaching,
    ::testing::Values(StopPoint{"Withdraw", [](auto& host) { host.eswitch.before_apply = for_ever; }},
                      StopPoint{"Unbind", [](auto& host) { host.kernel->hang("vfio-pci/unbind"); }},
                      StopPoint{"Reset", [](auto& host) { host.kernel->hang(host.vf(0).str() + "/reset"); }}),
    [](const auto& param) { return param.param.name; });

// Nobody knows whether the host was rebooted: then VFs that are gone were taken from VMs that may run.
TEST(VfReboot, WithoutABootIdVfsThatAreGoneAreLost) {
  VfHost host;
  attach_once(host, VfLife::intent("vm-1", 5));
  host.reboot();
  std::filesystem::remove(host.kernel->root / "proc/sys/kernel/random/boot_id");
  VfLife life(host);
  EXPECT_EQ(life.start().error().reason, "VFS_LOST");
  EXPECT_THAT(host.kernel->tree().vfs_of(kPf), IsEmpty());
}

}  // namespace
}  // namespace berth::testing
