// Devices that go along with an interface: a GPU with its sound function in one IOMMU group, and a drive.
#include "tests/flow/vf_world.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

agent::AttachIntent with_devices(const std::string& vm, std::uint8_t octet,
                                 std::vector<host::PciAddress> devices) {
  auto intent = VfLife::intent(vm, octet);
  intent.devices = std::move(devices);
  return intent;
}

TEST(Devices, ComeAndGoWithTheInterface) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(with_devices("vm-1", 5, {kGpu, kGpuSound, kDrive}));
  ASSERT_TRUE(attached) << attached.error().message;
  ASSERT_FALSE(attached->error) << attached->error->message;
  for (const auto& device : {kGpu, kGpuSound, kDrive}) EXPECT_EQ(host.kernel->driver_of(device), "vfio-pci");
  EXPECT_EQ(host.vms.plugged.size(), 4U);
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  for (const auto& device : {kGpu, kGpuSound, kDrive}) {
    EXPECT_EQ(host.kernel->driver_of(device), "") << device.str();
    EXPECT_EQ(host.kernel->override_of(device), "") << device.str();
    EXPECT_FALSE(host.kernel->is_dirty(device)) << device.str();
  }
}

TEST(Devices, AllOrNone) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  // The drive's group has a function that the host uses.
  host.kernel->add({.address = pci("0000:03:00.1"), .host_driver = "ahci", .group = 3});
  const auto attached = life.attach(with_devices("vm-1", 5, {kGpu, kGpuSound, kDrive}));
  ASSERT_TRUE(attached && attached->error);
  EXPECT_EQ(attached->error->reason, "GROUP_NOT_VIABLE");
  EXPECT_THAT(attached->error->message, HasSubstr("device 0000:03:00.0"));
  EXPECT_THAT(life.agent.attachments().list(), IsEmpty());
  EXPECT_EQ(host.kernel->driver_of(kGpu), "");
  EXPECT_EQ(host.kernel->override_of(kGpu), "");
  EXPECT_EQ(host.kernel->driver_of(kDrive), "nvme") << "nobody took it, so nobody touches it";
}

TEST(Devices, OneThatIsNotCleanKeepsThemAll) {
  VfHost host;
  VfLife life(host);
  life.set_up();
  const auto attached = life.attach(with_devices("vm-1", 5, {kDrive}));
  ASSERT_FALSE(attached->error);
  host.kernel->refuse(kDrive.str() + "/reset", EIO);
  const auto detached = life.detach(attached->attachment);
  EXPECT_EQ(detached->result->state, AttachmentState::kQuarantined);
  EXPECT_EQ(detached->result->fault->reason, "RESET_FAILED");
  EXPECT_EQ(life.attach(with_devices("vm-2", 6, {kDrive})).error().reason, "DEVICE_TAKEN");
  host.kernel->refuse(kDrive.str() + "/reset", 0);
  life.wait_until_gone(attached->attachment);
  EXPECT_FALSE(life.attach(with_devices("vm-2", 6, {kDrive}))->error);
}

TEST(Devices, OfTwoLivesAreFinishedByTheSecond) {
  VfHost host;
  AttachmentId id;
  {
    VfLife life(host);
    life.set_up();
    id = life.attach(with_devices("vm-1", 5, {kGpu, kGpuSound}))->attachment;
  }
  VfLife life(host);
  ASSERT_TRUE(life.start());
  EXPECT_THAT(life.agent.attachments().get(id)->devices, ElementsAre(kGpu, kGpuSound));
  ASSERT_FALSE(life.detach(id)->error);
  EXPECT_THAT(host.vms.plugged, IsEmpty());
  EXPECT_FALSE(host.kernel->is_dirty(kGpu));
}

class DeviceRefusal : public ::testing::Test {
 protected:
  DeviceRefusal() { life.set_up(); }
  std::string reason(std::vector<host::PciAddress> devices) {
    const auto writes = host.kernel->writes().size();
    const auto refused = life.attach(with_devices("vm-9", 9, std::move(devices)));
    EXPECT_EQ(host.kernel->writes().size(), writes) << "refused without a trace";
    return refused ? "accepted" : refused.error().reason;
  }
  // A class device of a function: /sys/class/<kind>/<name> leads below it.
  std::filesystem::path add_class_device(host::PciAddress device, const std::string& kind,
                                         const std::string& name) {
    const auto place = std::filesystem::canonical(host.kernel->tree().device(device)) / kind / name;
    std::filesystem::create_directories(place);
    std::filesystem::create_directories(host.kernel->root / "sys/class" / kind);
    std::filesystem::create_directory_symlink(place, host.kernel->root / "sys/class" / kind / name);
    return place;
  }

  VfHost host;
  VfLife life{host};
};

TEST_F(DeviceRefusal, OfWhatIsNotOnTheListOrNotThere) {
  EXPECT_EQ(reason({pci("0000:07:00.0")}), "DEVICE_NOT_ALLOWED");
  EXPECT_EQ(reason({pci("0000:00:1f.0")}), "PCI_DEVICE_UNKNOWN") << "allowed, but not there";
  host.kernel->add({.address = pci("0000:00:1f.0"), .class_code = 0x060100, .host_driver = ""});
  EXPECT_EQ(reason({pci("0000:00:1f.0")}), "IS_A_BRIDGE");
  EXPECT_EQ(reason({kPf}), "DEVICE_IS_OF_POOL");
  EXPECT_EQ(reason({kGpu, kGpu}), "DEVICE_TWICE");
  EXPECT_EQ(reason(std::vector(33, kGpu)), "TOO_MANY_DEVICES");
}

TEST_F(DeviceRefusal, OfWhatAnotherAttachmentHas) {
  ASSERT_FALSE(life.attach(with_devices("vm-1", 5, {kGpu}))->error);
  EXPECT_EQ(reason({kGpu}), "DEVICE_TAKEN");
  EXPECT_EQ(reason({kGpuSound}), "DEVICE_GROUP_TAKEN");
}

TEST_F(DeviceRefusal, OfADriveThatIsMounted) {
  const auto disk = add_class_device(kDrive, "block", "nvme0n1");
  std::filesystem::create_directories(disk / "nvme0n1p1/partition");
  std::filesystem::create_directory_symlink(disk / "nvme0n1p1",
                                            host.kernel->root / "sys/class/block/nvme0n1p1");
  const auto unused = life.attach(with_devices("vm-7", 7, {kDrive}));
  ASSERT_FALSE(unused->error) << "a drive that nobody mounts may be had";
  ASSERT_FALSE(life.detach(unused->attachment)->error);
  std::ofstream(disk / "nvme0n1p1/dev") << "259:1\n";
  std::ofstream(host.kernel->root / "proc/self/mountinfo") << "30 1 259:1 / /data rw - xfs /dev/root rw\n";
  EXPECT_EQ(reason({kDrive}), "DEVICE_IN_USE_BY_HOST");
}

// With multipathing the namespace hangs below no function; its path does.
TEST_F(DeviceRefusal, OfADriveThatIsMountedThroughMultipathing) {
  add_class_device(kDrive, "block", "nvme0c0n1");
  const auto head = host.kernel->root / "sys/devices/virtual/nvme-subsystem/nvme0n1";
  std::filesystem::create_directories(head);
  std::filesystem::create_directory_symlink(head, host.kernel->root / "sys/class/block/nvme0n1");
  std::ofstream(host.kernel->root / "proc/self/mountinfo")
      << "30 1 0:31 / /data rw - btrfs /dev/nvme0n1 rw\n";
  EXPECT_EQ(reason({kDrive}), "DEVICE_IN_USE_BY_HOST");
}

TEST_F(DeviceRefusal, OfADriveThatIsSwappedToOrPartOfAVolume) {
  const auto disk = add_class_device(kDrive, "block", "nvme0n1");
  std::ofstream(host.kernel->root / "proc/swaps") << "Filename Type\n/dev/nvme0n1 partition 1 0 -2\n";
  EXPECT_EQ(reason({kDrive}), "DEVICE_IN_USE_BY_HOST");
  std::filesystem::remove(host.kernel->root / "proc/swaps");
  std::filesystem::create_directories(disk / "holders/dm-0");
  EXPECT_EQ(reason({kDrive}), "DEVICE_IN_USE_BY_HOST");
}

TEST_F(DeviceRefusal, OfANetworkDeviceThatIsUp) {
  const auto netdev = add_class_device(kGpu, "net", "eth9");
  std::ofstream(netdev / "flags") << "0x1003\n";
  EXPECT_EQ(reason({kGpu}), "DEVICE_IN_USE_BY_HOST");
}

TEST(Devices, AHostWithoutAListGivesNone) {
  AgentWorld world;
  world.push({make_vpc("blue", 7001)});
  auto intent = world.intent("vm-1", "blue", 5);
  intent.devices = {kGpu};
  EXPECT_EQ(world.attach(intent).error().reason, "DEVICE_NOT_ALLOWED");
}

}  // namespace
}  // namespace berth::testing
