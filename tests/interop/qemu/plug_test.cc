// The plug and QEMU itself: the fakes of tests/flow say what this one says. No guest runs: with QEMU's native
// hotplug a port that was never powered lets go at once, and under ACPI's a stopped guest never does.
#include "host/qemu/qemu_plug.h"
#include "host/start_arguments.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/interop/qemu/qemu_process.h"
#include "tests/interop/qemu/vhost_backend.h"

#include <cstdio>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using namespace std::chrono_literals;
using host::VfioDevice;
using host::VhostUserDevice;
using host::VmDevice;
using host::qemu::QemuPlug;
using host::qemu::QmpConnection;
using host::qemu::VmTree;
using ::testing::HasSubstr;

constexpr const char* kNativeHotplug = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";

struct RealQemu : ::testing::Test {
  void TearDown() override {
    run_until_done(io, plug.stop());
    qemu.reset();
  }
  void start(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"-m", "64"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    qemu.emplace(folder / "vm-7.sock", arguments);
  }
  void start_with_ports(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"-object",  "memory-backend-memfd,id=ram,size=64M,share=on",
                                          "-machine", "memory-backend=ram",
                                          "-global",  kNativeHotplug,
                                          "-device",  "pcie-root-port,id=rp1,chassis=1,hotplug=off",
                                          "-device",  "pcie-root-port,id=rp2,chassis=2",
                                          "-device",  "pcie-root-port,id=rp10,chassis=10"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    start(arguments);
  }
  auto plug_in(VmDevice device) { return run_until_done(io, plug.plug(vm, std::move(device))); }
  auto unplug(const std::string& id) { return run_until_done(io, plug.unplug(vm, id)); }
  VmDevice vhost(std::uint8_t number) {
    return {.id = fmt::format("berth-vf{}", number),
            .device = VhostUserDevice{backend_path(number), {{2, 0, 0, 0, 1, number}}},
            .number = number};
  }
  std::string backend_path(int number) const { return (folder / fmt::format("vf{}.sock", number)).string(); }
  std::string bus_of(const std::string& device) {
    TaskGroup readers(io.get_executor());
    const auto read = [&]() -> asio::awaitable<std::string> {
      auto connection = co_await QmpConnection::open(readers, io.get_executor(), folder / "vm-7.sock", 5s);
      if (!connection) co_return connection.error().message;
      VmTree tree(**connection, 5s);
      const auto bus = co_await tree.read_property(device, "parent_bus");
      co_return bus ? *bus : bus.error().reason;
    };
    const std::string bus = run_until_done(io, read());
    run_until_done(io, readers.join());
    return bus;
  }

  const VmId vm = VmId::trusted("vm-7");
  const TestFolder folder{"qemu"};
  asio::io_context io;
  QemuPlug plug{io.get_executor(),
                {.monitor = (folder / "{vm}.sock").string(), .unplug_wait = 400ms, .unplug_attempts = 3}};
  std::optional<QemuProcess> qemu;
};

TEST_F(RealQemu, VhostUserPortComesAndGoes) {
  VhostBackend backend(backend_path(0));
  start_with_ports();
  for (int cycle = 0; cycle < 20; ++cycle) {
    const auto plugged = plug_in(vhost(0));
    ASSERT_TRUE(plugged) << plugged.error().message;
    ASSERT_EQ(bus_of("berth-vf0"), "/machine/peripheral/rp2/rp2");  // rp1 cannot, rp10 comes later
    ASSERT_TRUE(backend.has_client());
    const auto unplugged = unplug("berth-vf0");
    ASSERT_TRUE(unplugged) << unplugged.error().message;
    ASSERT_EQ(bus_of("berth-vf0"), "QMP_DEVICE_NOT_FOUND");
  }
  for (int i = 0; i < 500 && backend.has_client(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(backend.has_client());
}

TEST_F(RealQemu, PortsFillUpAndTheLastIsRefused) {
  VhostBackend first(backend_path(0));
  VhostBackend second(backend_path(1));
  VhostBackend third(backend_path(2));
  start_with_ports();
  ASSERT_TRUE(plug_in(vhost(0)));
  ASSERT_TRUE(plug_in(vhost(0)));  // again
  ASSERT_TRUE(plug_in(vhost(1)));
  EXPECT_EQ(bus_of("berth-vf1"), "/machine/peripheral/rp10/rp10");
  EXPECT_EQ(plug_in(vhost(2)).error().reason, "NO_FREE_SLOT");
}

TEST_F(RealQemu, FunctionThatIsNotThereIsRefusedInItsWords) {
  start_with_ports();
  const auto plugged = plug_in(
      {.id = "berth-vf3", .device = VfioDevice{{.domain = 0xfffe, .bus = 1, .device = 2, .function = 3}}});
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().reason, "DEVICE_REFUSED");
  EXPECT_THAT(plugged.error().message, HasSubstr("no such host device"));
}

TEST_F(RealQemu, PrivateMemoryIsNamed) {
  VhostBackend backend(backend_path(0));
  start({"-device", "pcie-root-port,id=rp1,chassis=1"});
  EXPECT_EQ(plug_in(vhost(0)).error().reason, "MEMORY_NOT_SHARED");
}

TEST_F(RealQemu, SocketThatNobodyServesIsRefusedAndNothingStays) {
  start_with_ports();
  const auto plugged = plug_in(vhost(0));
  ASSERT_FALSE(plugged);
  EXPECT_EQ(plugged.error().reason, "DEVICE_REFUSED");
  VhostBackend backend(backend_path(0));
  EXPECT_TRUE(plug_in(vhost(0)));
}

TEST_F(RealQemu, StoppedGuestUnderAcpiKeepsTheDeviceUntilQemuIsKilled) {
  VhostBackend backend(backend_path(0));
  std::vector<std::string> arguments = {"-object", "memory-backend-memfd,id=ram,size=64M,share=on",
                                        "-machine", "memory-backend=ram"};
  const auto at_start = host::start_arguments(vhost(0)).qemu;
  arguments.insert(arguments.end(), at_start.begin(), at_start.end());
  start(arguments);
  ASSERT_EQ(bus_of("berth-vf0"), "/machine/peripheral/berth-vf0-port/berth-vf0-port");
  const auto unplugged = unplug("berth-vf0");
  ASSERT_FALSE(unplugged);
  EXPECT_EQ(unplugged.error().reason, "GUEST_IGNORES_UNPLUG");
  EXPECT_EQ(bus_of("berth-vf0"), "/machine/peripheral/berth-vf0-port/berth-vf0-port");
  qemu->kill();
  EXPECT_EQ(unplug("berth-vf0"), "the VM does not run");
  EXPECT_TRUE(plug_in(vhost(0))->at_start);
}

TEST_F(RealQemu, AnotherProgramOnTheMonitorIsInTheWay) {
  start_with_ports();
  TaskGroup readers(io.get_executor());
  auto theirs =
      run_until_done(io, QmpConnection::open(readers, io.get_executor(), folder / "vm-7.sock", 5s)).value();
  QemuPlug impatient(io.get_executor(), {.monitor = (folder / "{vm}.sock").string(), .answer_wait = 1500ms});
  const auto plugged = run_until_done(io, impatient.plug(vm, vhost(0)));
  EXPECT_EQ(plugged.error().reason, "VMM_UNREACHABLE");
  EXPECT_EQ(run_until_done(io, impatient.unplug(vm, "berth-vf0")).error().reason, "VMM_UNREACHABLE");
  theirs.reset();
  EXPECT_TRUE(run_until_done(io, impatient.unplug(vm, "berth-vf0")));
  run_until_done(io, impatient.stop());
  run_until_done(io, readers.join());
}

}  // namespace
}  // namespace berth::testing

int main(int argc, char** argv) {
  if (!berth::testing::is_qemu_installed()) {
    std::puts("SKIPPED: qemu-system-x86_64 is not installed (10.0 is in bookworm-backports)");
    return 77;
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
