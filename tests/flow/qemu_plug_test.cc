// Devices into VMs and out again, on monitors that react, and fail at every command.
#include "host/qemu/qemu_plug.h"

#include "tests/fakes/fake_qemu.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using host::PlugOutcome;
using host::VfioDevice;
using host::VhostUserDevice;
using host::VmDevice;
using host::qemu::QemuPlug;
using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

host::PciAddress address(std::string_view text) {
  return host::PciAddress::parse("pci", text).value();
}

class QemuPlugTest : public ::testing::Test {
 protected:
  void TearDown() override {
    run_until_done(io, plug.stop());
    if (qemu) run_until_done(io, qemu->stop());
    qemu.reset();
  }

  Result<PlugOutcome> plug_in(VmDevice device) {
    return run_until_done(io, plug.plug(vm, std::move(device)));
  }
  Result<std::string> unplug(const std::string& id) { return run_until_done(io, plug.unplug(vm, id)); }

  static VmDevice vfio(const std::string& host = "0000:3b:01.3") {
    return {.id = "berth-vf3", .device = VfioDevice{address(host)}};
  }
  static VmDevice vhost() {
    return {.id = "berth-vf0", .device = VhostUserDevice{"/run/berth/vf0.sock", {{2, 0, 0, 0, 1, 5}}}};
  }
  std::string socket() const { return (folder / "vm-7.sock").string(); }

  const VmId vm = VmId::trusted("vm-7");
  const TestFolder folder{"plug"};
  asio::io_context io;
  QemuPlug plug{io.get_executor(),
                {.monitor = (folder / "{vm}.sock").string(),
                 .ports = "",
                 .answer_wait = 500ms,
                 .unplug_wait = 60ms,
                 .unplug_attempts = 4}};
  std::optional<FakeQemu> qemu;
};

struct QemuPlugWithVm : QemuPlugTest {
  void SetUp() override { qemu.emplace(io, socket()); }
};

// --- in

TEST_F(QemuPlugWithVm, VfioDeviceGoesIntoTheFirstFreePort) {
  qemu->devices["theirs"] = {.driver = "virtio-net-pci", .port = "rp1"};
  const auto plugged = plug_in(vfio());
  ASSERT_TRUE(plugged) << plugged.error().message;
  EXPECT_FALSE(plugged->at_start);
  EXPECT_EQ(qemu->devices.at("berth-vf3").port, "rp2");
  EXPECT_EQ(qemu->devices.at("berth-vf3").host, "0000:3b:01.3");
}

TEST_F(QemuPlugWithVm, PortsThatCannotHotplugAreNoPorts) {
  qemu->ports["rp1"].hotplug = false;
  ASSERT_TRUE(plug_in(vfio()));
  EXPECT_EQ(qemu->devices.at("berth-vf3").port, "rp2");
}

TEST_F(QemuPlugWithVm, NoFreePortIsNamed) {
  qemu->devices["a"] = {.driver = "nvme", .port = "rp1"};
  qemu->devices["b"] = {.driver = "nvme", .port = "rp2"};
  const auto plugged = plug_in(vfio());
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(plugged.error().reason, "NO_FREE_SLOT");
  EXPECT_EQ(qemu->count("device_add"), 0U);
}

TEST_F(QemuPlugWithVm, PortNearestToTheGpuIsTaken) {
  qemu->ports = {{"rp1", {}},
                 {"rp2", {}},
                 {"up1", {.type = "x3130-upstream", .parent_bus = "/machine/peripheral/rp2/rp2"}},
                 {"dn1", {.type = "xio3130-downstream", .parent_bus = "/machine/peripheral/up1/up1"}},
                 {"dn2", {.type = "xio3130-downstream", .parent_bus = "/machine/peripheral/up1/up1"}}};
  qemu->devices["hostdev0"] = {.driver = "vfio-pci", .port = "dn1", .host = "0000:1b:00.0"};
  VmDevice device = vfio();
  device.near = {address("0000:1b:00.0")};
  ASSERT_TRUE(plug_in(device));
  EXPECT_EQ(qemu->devices.at("berth-vf3").port, "dn2");
}

TEST_F(QemuPlugWithVm, PortTakenMeanwhileIsLeftToItsTaker) {
  qemu->taken_behind_our_back = "rp1";
  ASSERT_TRUE(plug_in(vfio()));
  EXPECT_EQ(qemu->devices.at("theirs").port, "rp1");
  EXPECT_EQ(qemu->devices.at("berth-vf3").port, "rp2");
}

TEST_F(QemuPlugWithVm, RefusalCarriesQemusWords) {
  qemu->refusals["device_add"] = "vfio 0000:3b:01.3: no such host device: No such file or directory";
  const auto plugged = plug_in(vfio());
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().reason, "DEVICE_REFUSED");
  EXPECT_THAT(plugged.error().message, HasSubstr("no such host device"));
}

TEST_F(QemuPlugWithVm, PluggedTwiceIsPluggedOnce) {
  ASSERT_TRUE(plug_in(vfio()));
  ASSERT_TRUE(plug_in(vfio()));
  EXPECT_EQ(qemu->count("device_add"), 1U);
}

TEST_F(QemuPlugWithVm, AnotherDeviceOfTheNameIsNotTakenForOurs) {
  ASSERT_TRUE(plug_in(vfio("0000:3b:01.4")));
  const auto plugged = plug_in(vfio("0000:3b:01.3"));
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().reason, "DEVICE_ID_TAKEN");
}

TEST_F(QemuPlugWithVm, BusThatTheFirmwareHasNotNumberedIsBelieved) {
  qemu->is_numbered = false;
  EXPECT_TRUE(plug_in(vfio()));
}

TEST_F(QemuPlugWithVm, PlugsIntoOneVmTakeTurns) {
  VmDevice other = vfio("0000:3b:01.4");
  other.id = "berth-vf4";
  std::vector<Result<PlugOutcome>> outcomes;
  TaskGroup both(io.get_executor());
  const auto one = [&](VmDevice device) -> asio::awaitable<void> {
    outcomes.push_back(co_await plug.plug(vm, std::move(device)));
  };
  both.spawn("first", one(vfio()));
  both.spawn("second", one(other));
  run_until_done(io, both.join());
  ASSERT_EQ(outcomes.size(), 2U);
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome) << outcome.error().message;
  EXPECT_NE(qemu->devices.at("berth-vf3").port, qemu->devices.at("berth-vf4").port);
}

// --- vhost-user

TEST_F(QemuPlugWithVm, VhostUserBringsItsBackendsAndTakesThemAlong) {
  const auto plugged = plug_in(vhost());
  ASSERT_TRUE(plugged) << plugged.error().message;
  EXPECT_EQ(qemu->devices.at("berth-vf0").mac, "02:00:00:00:01:05");
  EXPECT_THAT(qemu->chardevs, ElementsAre("berth-vf0-chr"));
  EXPECT_THAT(qemu->netdevs, ElementsAre("berth-vf0-net"));
  ASSERT_TRUE(unplug("berth-vf0"));
  EXPECT_THAT(qemu->devices, IsEmpty());
  EXPECT_THAT(qemu->chardevs, IsEmpty());
  EXPECT_THAT(qemu->netdevs, IsEmpty());
}

TEST_F(QemuPlugWithVm, VhostUserNeedsSharedMemory) {
  qemu->is_memory_shared = false;
  const auto plugged = plug_in(vhost());
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().reason, "MEMORY_NOT_SHARED");
  EXPECT_THAT(plugged.error().message, HasSubstr("share=on"));
  EXPECT_THAT(qemu->chardevs, IsEmpty());
}

TEST_F(QemuPlugWithVm, BackendsDoNotOutliveAFailedPlug) {
  for (const char* command : {"chardev-add", "netdev_add", "device_add"}) {
    qemu->refusals = {{command, "no"}};
    const auto plugged = plug_in(vhost());
    ASSERT_FALSE(plugged) << command;
    EXPECT_EQ(plugged.error().reason, "DEVICE_REFUSED") << command;
    EXPECT_THAT(qemu->chardevs, IsEmpty()) << command;
    EXPECT_THAT(qemu->netdevs, IsEmpty()) << command;
  }
}

TEST_F(QemuPlugWithVm, BackendsOfAPlugThatWasCutOffAreInNobodysWay) {
  qemu->hangs_up_after = "netdev_add";
  ASSERT_FALSE(plug_in(vhost()));
  EXPECT_THAT(qemu->netdevs, Not(IsEmpty()));
  EXPECT_TRUE(plug_in(vhost()));
}

TEST_F(QemuPlugWithVm, BackendsOfAPlugThatWasCutOffGoWithTheUnplug) {
  qemu->hangs_up_after = "netdev_add";
  ASSERT_FALSE(plug_in(vhost()));
  ASSERT_TRUE(unplug("berth-vf0"));
  EXPECT_THAT(qemu->netdevs, IsEmpty());
  EXPECT_THAT(qemu->chardevs, IsEmpty());
}

// --- no VM, no answer

TEST_F(QemuPlugTest, VmThatDoesNotRunGetsStartArguments) {
  const auto plugged = plug_in(vfio());
  ASSERT_TRUE(plugged) << plugged.error().message;
  ASSERT_TRUE(plugged->at_start);
  EXPECT_THAT(plugged->at_start->qemu, Contains(HasSubstr("host=0000:3b:01.3")));
  EXPECT_EQ(unplug("berth-vf3"), "the VM does not run");
}

TEST_F(QemuPlugWithVm, QemuThatIsAboutToListenIsNotTakenForADeadOne) {
  qemu->die();
  run_until_done(io, sleep_for(5ms));
  qemu->start(50ms);
  const auto plugged = plug_in(vfio());
  ASSERT_TRUE(plugged) << plugged.error().message;
  EXPECT_FALSE(plugged->at_start);
}

TEST_F(QemuPlugWithVm, KilledQemuHasLostItsDevices) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->die();
  EXPECT_EQ(unplug("berth-vf3"), "the VM does not run");
}

TEST_F(QemuPlugWithVm, MonitorThatSaysNothingProvesNothing) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->greets = false;
  const auto unplugged = unplug("berth-vf3");
  ASSERT_FALSE(unplugged);
  EXPECT_EQ(unplugged.error().code, Code::kUnavailable);
  EXPECT_EQ(unplugged.error().reason, "VMM_UNREACHABLE");
  EXPECT_EQ(plug_in(vfio()).error().reason, "VMM_UNREACHABLE");
}

TEST_F(QemuPlugWithVm, HangAtAnyCommandOfAPlugIsUnreachable) {
  for (const char* command : {"qmp_capabilities", "qom-list", "query-memdev", "query-chardev", "chardev-add",
                              "netdev_add", "qom-get", "device_add", "query-pci"}) {
    qemu->hangs_at = command;
    const auto plugged = plug_in(vhost());
    ASSERT_FALSE(plugged) << command;
    EXPECT_EQ(plugged.error().reason, "VMM_UNREACHABLE") << command;
    qemu->hangs_at.clear();
    ASSERT_TRUE(unplug("berth-vf0")) << command;
    EXPECT_THAT(qemu->devices, Not(Contains(Key("berth-vf0")))) << command;
    EXPECT_THAT(qemu->chardevs, IsEmpty()) << command;
  }
}

TEST_F(QemuPlugWithVm, HangAtAnyCommandOfAnUnplugIsUnreachable) {
  for (const char* command : {"qmp_capabilities", "qom-list", "device_del", "query-chardev"}) {
    ASSERT_TRUE(plug_in(vfio())) << command;
    qemu->hangs_at = command;
    const auto unplugged = unplug("berth-vf3");
    ASSERT_FALSE(unplugged) << command;
    EXPECT_EQ(unplugged.error().reason, "VMM_UNREACHABLE") << command;
    qemu->hangs_at.clear();
    ASSERT_TRUE(unplug("berth-vf3")) << command;
  }
}

TEST_F(QemuPlugWithVm, RubbishFromTheMonitorIsUnreachable) {
  qemu->guest_takes = 30ms;
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kIgnores;
  TaskGroup aside(io.get_executor());
  const auto disturb = [&]() -> asio::awaitable<void> {
    (void)co_await sleep_for(20ms);
    qemu->send_raw("\x80 no JSON\r\n");
    qemu->guest = FakeQemu::Guest::kLetsGo;
  };
  aside.spawn("disturb", disturb());
  EXPECT_TRUE(unplug("berth-vf3"));  // by another connection
  run_until_done(io, aside.join());
  EXPECT_EQ(qemu->count("qmp_capabilities"), 3U);
}

// --- out

TEST_F(QemuPlugWithVm, UnpluggedIsGone) {
  ASSERT_TRUE(plug_in(vfio()));
  const auto unplugged = unplug("berth-vf3");
  ASSERT_TRUE(unplugged) << unplugged.error().message;
  EXPECT_THAT(qemu->devices, IsEmpty());
  EXPECT_EQ(qemu->count("device_del"), 1U);
}

TEST_F(QemuPlugWithVm, EventEndsTheWaitAtOnce) {
  QemuPlug patient(io.get_executor(), {.monitor = (folder / "{vm}.sock").string(), .unplug_wait = 60s});
  ASSERT_TRUE(run_until_done(io, patient.plug(vm, vfio())));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(run_until_done(io, patient.unplug(vm, "berth-vf3")));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 30s);
  run_until_done(io, patient.stop());
}

TEST_F(QemuPlugWithVm, WhatTheVmNeverHadIsGone) {
  EXPECT_TRUE(unplug("berth-vf3"));
  EXPECT_EQ(qemu->count("device_del"), 0U);
}

TEST_F(QemuPlugWithVm, LostEventIsFoundOut) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->loses_events = true;
  EXPECT_TRUE(unplug("berth-vf3"));
}

TEST_F(QemuPlugWithVm, LateGuestIsAskedAgain) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->requests_ignored = 2;
  EXPECT_TRUE(unplug("berth-vf3"));
  EXPECT_EQ(qemu->count("device_del"), 3U);
}

TEST_F(QemuPlugWithVm, EventThatComesLaterThanTheFirstWaitCounts) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest_takes = 100ms;
  qemu->has_native_hotplug = true;  // the second request: "already in the process of unplug"
  EXPECT_TRUE(unplug("berth-vf3"));
  EXPECT_EQ(qemu->count("device_del"), 2U);
}

TEST_F(QemuPlugWithVm, BusyGuestIsInProgress) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->refusals["device_del"] = "Hot-unplug failed: guest is busy (power indicator blinking)";
  const auto unplugged = unplug("berth-vf3");
  ASSERT_FALSE(unplugged);
  EXPECT_EQ(unplugged.error().reason, "GUEST_IGNORES_UNPLUG");
  EXPECT_EQ(qemu->count("device_del"), 4U);
}

TEST_F(QemuPlugWithVm, GuestThatIgnoresKeepsTheDevice) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kIgnores;
  const auto unplugged = unplug("berth-vf3");
  ASSERT_FALSE(unplugged);
  EXPECT_EQ(unplugged.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(unplugged.error().reason, "GUEST_IGNORES_UNPLUG");
  EXPECT_EQ(qemu->count("device_del"), 4U);
  EXPECT_THAT(qemu->devices, Contains(Key("berth-vf3")));
}

TEST_F(QemuPlugWithVm, GuestThatRefusesIsAskedOnlyWhenItsTimeIsOver) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kRefuses;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(unplug("berth-vf3").error().reason, "GUEST_IGNORES_UNPLUG");
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 4 * 60ms);
  EXPECT_EQ(qemu->count("device_del"), 4U);
}

TEST_F(QemuPlugWithVm, RefusedUnplugIsNamedAtOnce) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->refusals["device_del"] = "Bus 'pcie.0' does not support hotplugging";
  const auto unplugged = unplug("berth-vf3");
  ASSERT_FALSE(unplugged);
  EXPECT_EQ(unplugged.error().reason, "UNPLUG_REFUSED");
  EXPECT_EQ(qemu->count("device_del"), 1U);
}

TEST_F(QemuPlugWithVm, QemuKilledAtAnyCommandOfAnUnplugHasLostTheDevice) {
  for (const char* command : {"qmp_capabilities", "qom-list", "device_del"}) {
    qemu->dies_at.clear();
    ASSERT_TRUE(plug_in(vfio())) << command;
    qemu->dies_at = command;
    const auto unplugged = unplug("berth-vf3");
    ASSERT_TRUE(unplugged) << command << ": " << unplugged.error().message;
    EXPECT_EQ(*unplugged, "the VM does not run") << command;
    qemu->start();
  }
}

TEST_F(QemuPlugWithVm, QemuKilledWhileTheGuestIsAskedHasLostTheDevice) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kIgnores;
  TaskGroup aside(io.get_executor());
  const auto killer = [&]() -> asio::awaitable<void> {
    (void)co_await sleep_for(20ms);
    qemu->die();
  };
  aside.spawn("killer", killer());
  EXPECT_EQ(unplug("berth-vf3"), "the VM does not run");
  run_until_done(io, aside.join());
  EXPECT_EQ(qemu->count("device_del"), 1U);
}

TEST_F(QemuPlugWithVm, MonitorThatHangsUpOnceIsAskedAgain) {
  for (const char* command : {"qmp_capabilities", "qom-list", "device_del", "query-chardev"}) {
    ASSERT_TRUE(plug_in(vfio())) << command;
    qemu->hangs_up_before = command;
    const auto unplugged = unplug("berth-vf3");
    EXPECT_TRUE(unplugged) << command << ": " << unplugged.error().message;
    EXPECT_THAT(qemu->devices, IsEmpty()) << command;
  }
}

TEST_F(QemuPlugWithVm, StubbornGuestDoesNotHoldUpOtherPlugs) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kIgnores;
  TaskGroup aside(io.get_executor());
  std::optional<Result<std::string>> unplugged;
  const auto leave = [&]() -> asio::awaitable<void> { unplugged = co_await plug.unplug(vm, "berth-vf3"); };
  aside.spawn("unplug", leave());
  VmDevice other = vfio("0000:3b:01.4");
  other.id = "berth-vf4";
  ASSERT_TRUE(plug_in(other));
  EXPECT_FALSE(unplugged);
  run_until_done(io, aside.join());
  EXPECT_EQ(unplugged->error().reason, "GUEST_IGNORES_UNPLUG");
}

TEST_F(QemuPlugWithVm, DeviceThatLibvirtStartedIsUnpluggedByItsName) {
  qemu->devices["ua-berth-vf3"] = {.driver = "vfio-pci", .port = "rp1", .host = "0000:3b:01.3"};
  ASSERT_TRUE(plug_in(vfio()));
  EXPECT_EQ(qemu->count("device_add"), 0U);
  ASSERT_TRUE(unplug("berth-vf3"));
  EXPECT_THAT(qemu->devices, IsEmpty());
}

TEST_F(QemuPlugWithVm, CancelledUnplugEnds) {
  ASSERT_TRUE(plug_in(vfio()));
  qemu->guest = FakeQemu::Guest::kIgnores;
  TaskGroup aside(io.get_executor());
  std::optional<Result<std::string>> unplugged;
  const auto leave = [&]() -> asio::awaitable<void> { unplugged = co_await plug.unplug(vm, "berth-vf3"); };
  aside.spawn("unplug", leave());
  run_until_done(io, sleep_for(20ms));
  aside.cancel();
  run_until_done(io, aside.join());
  EXPECT_EQ(qemu->count("device_del"), 1U);
}

}  // namespace
}  // namespace berth::testing
