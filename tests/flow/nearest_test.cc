// Several NICs, one pool: a VM gets a VF of the NIC beside its devices, and keeps it.
#include "tests/flow/vf_world.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint16_t kFirstOfPf2 = kVfs;

agent::AttachIntent with_gpu(const std::string& vm, std::uint8_t octet, host::PciAddress gpu) {
  auto intent = VfLife::intent(vm, octet);
  intent.devices = {gpu};
  return intent;
}

std::string resolved(const agent::Operation& operation) {
  const auto step = std::ranges::find(operation.steps, "resolve", &agent::StepRecord::name);
  return step == operation.steps.end() ? "no such step" : step->detail;
}

class Nearest : public ::testing::Test {
 protected:
  Nearest() {
    host.add_switch();
    life.emplace(host);
    life->set_up();
  }
  void begin_next_life(host::Deadlines deadlines = kShort) {
    life.reset();
    life.emplace(host, deadlines);
    ASSERT_TRUE(life->start());
  }
  // Of a VM's interfaces.
  std::vector<host::PciAddress> pfs_of(const AttachmentId& id) {
    std::vector<host::PciAddress> pfs;
    for (const auto& one : life->agent.attachments().get(id)->interfaces) pfs.push_back(*one.function.pf);
    return pfs;
  }

  VfHost host;
  std::optional<VfLife> life;
};

TEST_F(Nearest, AVmGetsAVfOfTheNicBesideItsGpu) {
  const auto attached = life->attach(with_gpu("vm-1", 5, kGpu2));
  ASSERT_TRUE(attached && !attached->error);
  EXPECT_EQ(resolved(*attached), "vf2 of 0000:22:00.0, PIX to 0000:23:00.0");
  EXPECT_THAT(pfs_of(attached->attachment), ::testing::ElementsAre(kPf2));
  const auto vf = host.kernel->tree().vfs_of(kPf2).at(0);
  EXPECT_EQ(attached->result->interfaces[0].function.address, vf);
  EXPECT_EQ(host.kernel->driver_of(vf), "vfio-pci");
  EXPECT_EQ(host.attributes.settings.at({kPf2, 0}).mac, attached->result->interfaces[0].intent.mac);
  EXPECT_FALSE(host.attributes.settings.contains({kPf, 0})) << "nobody touched the other NIC";
  EXPECT_TRUE(host.vms.plugged.contains("berth-vf2-g0"));
  ASSERT_FALSE(life->detach(attached->attachment)->error);
  EXPECT_EQ(host.kernel->driver_of(vf), "");
  EXPECT_EQ(host.attributes.settings.at({kPf2, 0}).mac, MacAddress());
}

TEST_F(Nearest, WhereThatNicIsFullTheNextOneIsTaken) {
  for (const int i : {1, 2}) {
    auto wanted = VfLife::intent(fmt::format("vm-{}", i), static_cast<std::uint8_t>(4 + i));
    wanted.interfaces[0].near = kGpu2;
    ASSERT_FALSE(life->attach(wanted)->error);
  }
  const auto third = life->attach(with_gpu("vm-3", 7, kGpu2));
  ASSERT_FALSE(third->error);
  EXPECT_EQ(resolved(*third), "vf0 of 0000:01:00.0, PHB to 0000:23:00.0");
}

TEST_F(Nearest, AnInterfaceMayNameWhatItIsNear) {
  auto wanted = with_gpu("vm-1", 5, kGpu2);
  wanted.interfaces[0].near = kPf;  // a device of the host that no VM may have will do, too
  wanted.interfaces.push_back(make_interface("blue", 6));
  const auto attached = life->attach(wanted);
  ASSERT_TRUE(attached) << attached.error().message;
  ASSERT_FALSE(attached->error);
  EXPECT_EQ(resolved(*attached),
            "vf0 of 0000:01:00.0, X to 0000:01:00.0; vf2 of 0000:22:00.0, PIX to 0000:23:00.0");
}

TEST_F(Nearest, WithoutAnythingNearVmsAreSpreadOverTheNics) {
  std::vector<host::PciAddress> pfs;
  for (std::uint8_t i = 0; i < 4; ++i) {
    const auto attached = life->attach(VfLife::intent(fmt::format("vm-{}", i), 5 + i));
    ASSERT_FALSE(attached->error);
    pfs.push_back(pfs_of(attached->attachment).at(0));
  }
  EXPECT_THAT(pfs, ::testing::ElementsAre(kPf, kPf2, kPf, kPf2));
  EXPECT_EQ(life->agent.capacity().functions_total, 4U) << "of both";
  EXPECT_EQ(life->attach(VfLife::intent("vm-9", 10)).error().reason, "NO_FREE_FUNCTION");
}

TEST_F(Nearest, WhatIsNotThereOrABridgeIsRefusedWithoutATrace) {
  const auto writes = host.kernel->writes().size();
  const auto reason = [&](host::PciAddress near) {
    auto wanted = VfLife::intent("vm-1", 5);
    wanted.interfaces.push_back(make_interface("blue", 6));
    wanted.interfaces[1].near = near;
    const auto checked = life->run(life->agent.check(wanted));
    const auto refused = life->attach(wanted);
    EXPECT_EQ(checked.error().reason, refused.error().reason);
    EXPECT_THAT(refused.error().message, HasSubstr("interfaces[1].near"));
    return refused.error().reason;
  };
  EXPECT_EQ(reason(pci("0000:ee:00.0")), "PCI_DEVICE_UNKNOWN");
  EXPECT_EQ(reason(kSwitch), "IS_A_BRIDGE");
  EXPECT_EQ(host.kernel->writes().size(), writes);
  EXPECT_EQ(life->agent.capacity().functions_free, 4U);
  EXPECT_THAT(life->agent.attachments().list(), IsEmpty());
}

TEST_F(Nearest, AnotherNearIsAnotherRequest) {
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.interfaces[0].near = kGpu2;
  ASSERT_FALSE(life->attach(wanted)->error);
  EXPECT_FALSE(life->attach(wanted)->error);
  wanted.interfaces[0].near = kGpu;
  EXPECT_EQ(life->attach(wanted).error().reason, "REQUEST_ID_REUSED");
}

// What is nearest now does not matter any more: a lease is kept.
TEST_F(Nearest, AResumedAttachKeepsItsFunction) {
  auto wanted = VfLife::intent("vm-1", 5);
  wanted.interfaces[0].near = kGpu2;
  host.vms.after_plug = []() -> Task<void> { co_return co_await sleep_for(std::chrono::hours(1)); };
  const auto accepted = life->run(life->agent.attach(wanted));
  while (host.vms.plugged.empty()) life->io.run_one();
  host.kernel->unplug(kGpu2);
  host.vms.after_plug = nullptr;
  begin_next_life();
  const auto again = life->run(life->agent.attach(wanted));
  ASSERT_TRUE(again) << again.error().message;
  const auto ended = life->run(life->agent.operations().wait(again->id));
  ASSERT_FALSE(ended->error) << ended->error->message;
  const auto attachment = life->agent.attachments().get(accepted->attachment).value();
  EXPECT_EQ(attachment.interfaces[0].function.index, kFirstOfPf2);
  EXPECT_EQ(attachment.interfaces[0].intent.near, kGpu2) << "as it was asked for";
}

TEST_F(Nearest, AfterARebootEveryVmHasAVfOfTheNicThatItHad) {
  const auto first = life->attach(with_gpu("vm-1", 5, kGpu2))->attachment;
  const auto second = life->attach(VfLife::intent("vm-2", 6))->attachment;
  life.reset();
  host.reboot(24);
  life.emplace(host);
  ASSERT_TRUE(life->start());
  EXPECT_EQ(life->agent.attachments().get(first)->state, AttachmentState::kAttached);
  EXPECT_THAT(pfs_of(first), ::testing::ElementsAre(kPf2));
  EXPECT_EQ(life->agent.attachments().get(first)->interfaces[0].function.address,
            host.kernel->tree().vfs_of(kPf2).at(0));
  EXPECT_THAT(pfs_of(second), ::testing::ElementsAre(kPf));
}

// VFs of one NIC are lost: nothing is made on it, and it is told which.
TEST_F(Nearest, LostVfsAreThoseOfTheirNic) {
  ASSERT_FALSE(life->attach(with_gpu("vm-1", 5, kGpu2))->error);
  life.reset();
  host.kernel->close_group(host.kernel->tree().vfs_of(kPf2).at(0));
  ASSERT_TRUE(host.kernel->write(host.kernel->tree().device(kPf2) / "sriov_numvfs", "0"));
  life.emplace(host);
  const auto started = life->start();
  EXPECT_EQ(started.error().reason, "VFS_LOST");
  EXPECT_THAT(started.error().message, HasSubstr(kPf2.str()));
}

}  // namespace
}  // namespace berth::testing
