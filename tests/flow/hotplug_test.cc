// Functions that really come and go on the bus: devices in slots, and a DPU's, whose controller is a script
// that speaks like BlueField's and makes the kernel see what it plugs.
#include "host/hotplug/slot_provider.h"
#include "host/hotplug/virtnet_provider.h"
#include "tests/flow/vf_world.h"

#include <cerrno>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using agent::AttachmentState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const host::PciAddress kPort = pci("0000:00:03.0");
const host::PciAddress kInSlot = pci("0000:04:00.0");
const FakeKernel::Device kNic{.address = kInSlot,
                              .vendor_id = 0x1af4,
                              .device_id = 0x1041,
                              .host_driver = "virtio-pci",
                              .group = 40,
                              .below = kPort};

class Slot : public ::testing::Test {
 protected:
  Slot() {
    host.kernel->add({.address = kPort, .class_code = 0x060400, .host_driver = "pcieport", .group = 39});
    std::ofstream(host.kernel->tree().device(kPort) / "rescan") << "";
  }
  VfLife::MakeProvider in_slot(std::string name) {
    return [name](VfLife& life) {
      const host::FunctionSlot slot{.bridge = kPort, .slot = name, .vendor_id = 0x1af4, .device_id = 0x1041};
      return std::make_unique<host::SlotProvider>(life.tree, life.worker, life.events, life.deadlines,
                                                  std::vector{slot, slot});
    };
  }
  VfHost host;
};

TEST_F(Slot, IsSwitchedOnForALeaseAndOffAfterIt) {
  host.kernel->add_slot("3", kPort, kNic);
  VfLife life(host, kShort, in_slot("3"));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error) << attached->error->message;
  EXPECT_EQ(attached->result->interfaces[0].function.address, kInSlot);
  EXPECT_EQ(host.kernel->driver_of(kInSlot), "vfio-pci");
  const auto expose = std::ranges::find(attached->steps, "expose", &agent::StepRecord::name);
  EXPECT_THAT(expose->detail, HasSubstr("uevent seen"));
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  EXPECT_FALSE(host.kernel->tree().exists(kInSlot));
}

TEST_F(Slot, WithoutPowerControlIsLookedAtAgain) {
  host.kernel->add_slot("3", kPort, kNic);
  VfLife life(host, kShort, in_slot(""));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error) << attached->error->message;
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  EXPECT_FALSE(host.kernel->tree().exists(kInSlot)) << "removed";
}

TEST_F(Slot, ALostUeventIsSurvivedAndTold) {
  host.kernel->add_slot("3", kPort, kNic);
  host.kernel->set_uevents(FakeKernel::Uevents::kLost);
  VfLife life(host, kShort, in_slot("3"));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error);
  const auto expose = std::ranges::find(attached->steps, "expose", &agent::StepRecord::name);
  EXPECT_THAT(expose->detail, HasSubstr("no uevent"));
}

TEST_F(Slot, WithSomethingElseInItIsOccupied) {
  auto other = kNic;
  other.device_id = 0x10d3;
  host.kernel->add(other);
  host.kernel->add_slot("3", kPort, other);
  VfLife life(host, kShort, in_slot("3"));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "SLOT_OCCUPIED");
  EXPECT_EQ(host.kernel->driver_of(kInSlot), "virtio-pci") << "not ours to touch";
}

TEST_F(Slot, WhereNothingComesIsNamedAndFreeAgain) {
  host.kernel->add_slot("3", kPort, std::nullopt);
  VfLife life(host, kShort, in_slot("3"));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "FUNCTION_DID_NOT_APPEAR");
  EXPECT_THAT(life.agent.attachments().list(), IsEmpty());
}

TEST_F(Slot, ASwitchThatNeverReturnsIsNamed) {
  host.kernel->add_slot("3", kPort, kNic);
  host.kernel->hang("slots/3/power");
  VfLife life(host, kShort, in_slot("3"));
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "SYSFS_WRITE_STUCK");
}

constexpr const char* kScript = R"SH(#!/bin/sh
# The virtio-net controller's command line: devices are files of the DPU.
cd "$(dirname "$0")" || exit 1
[ -e hangs ] && sleep 1000
[ -e talks ] && exec cat /dev/zero
case "$1" in
list)
  printf '{"controller": {"emulation_manager": "mlx5_0"}, "devices": ['
  printf '{"pf_id": 0, "function_type": "static PF", "pci_bdf": "14:00.2"}'
  for file in device-*; do
    [ -e "$file" ] || continue
    id=${file#device-}
    printf ', {"pf_id": %s, "function_type": "hotplug PF", "pci_bdf": "2%s:00.0", "mac": "%s"}' \
      "$id" "$id" "$(cat "$file")"
  done
  printf ']}\n' ;;
hotplug)
  if [ -e full ]; then echo '{"errno": -28, "errstr": "No more hotplug devices"}'; exit 1; fi
  id=1
  while [ -e "device-$id" ]; do id=$((id + 1)); done
  echo "$5" > "device-$id"
  printf '{"bdf": "2%s:0.0", "id": %s, "transitional": 0, "mac": "%s", "errno": 0}\n' "$id" "$id" "$5" ;;
unplug)
  rm "device-$3" && echo '{"errno": 0, "errstr": "Success"}' ;;
esac
)SH";

// A DPU: what its controller plugs appears on the host's bus.
class Virtnet : public ::testing::Test {
 protected:
  Virtnet() {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "virtnet") << kScript;
    ::chmod((folder / "virtnet").c_str(), 0700);
  }
  static host::PciAddress address_of(int id) { return pci(fmt::format("0000:2{}:00.0", id)); }
  void put(const char* file) { std::ofstream(folder / file) << "\n"; }

  // Keeps the bus as the controller says, until cancelled.
  asio::awaitable<void> be_a_dpu() {
    while (co_await sleep_for(std::chrono::milliseconds(2))) {
      for (int id = 1; id <= 2 && !is_unplugged; ++id) {
        const bool is_plugged = std::filesystem::exists(folder / fmt::format("device-{}", id));
        const bool is_there = host.kernel->tree().exists(address_of(id));
        if (is_plugged && !is_there)
          host.kernel->hotplug({.address = address_of(id),
                                .vendor_id = 0x1af4,
                                .device_id = 0x1041,
                                .host_driver = "virtio-pci",
                                .group = 20 + static_cast<unsigned>(id)});
        if (!is_plugged && is_there) host.kernel->unplug(address_of(id));
      }
    }
  }

  VfHost host;
  std::filesystem::path folder = host.kernel->root / "dpu";
  bool is_unplugged = false;  // the cable between DPU and host, so to say
};

class DpuLife : public VfLife {
 public:
  DpuLife(VfHost& on, std::string program, std::chrono::milliseconds controller = std::chrono::seconds(10))
      : VfLife(on, deadlines_of(controller),
               [program](VfLife& life) {
                 return std::make_unique<host::VirtnetProvider>(
                     life.tree, life.events, life.deadlines,
                     host::VirtnetProvider::Controller{.program = program});
               }),
        dpu(io.get_executor()) {}
  ~DpuLife() {
    dpu.cancel();
    run_until_done(io, dpu.join());
  }
  static host::Deadlines deadlines_of(std::chrono::milliseconds controller) {
    auto deadlines = kShort;
    deadlines.controller = controller;
    deadlines.appear = std::chrono::seconds(1);
    return deadlines;
  }
  TaskGroup dpu;
};

TEST_F(Virtnet, PlugsADeviceForALeaseAndUnplugsItAfterIt) {
  DpuLife life(host, folder / "virtnet");
  life.dpu.spawn("dpu", be_a_dpu());
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_FALSE(attached->error) << attached->error->message;
  EXPECT_EQ(attached->result->interfaces[0].function.address, address_of(1));
  EXPECT_EQ(host.kernel->driver_of(address_of(1)), "vfio-pci");
  const auto second = life.attach(VfLife::intent("vm-2", 6));
  ASSERT_FALSE(second->error) << second->error->message;
  EXPECT_EQ(second->result->interfaces[0].function.address, address_of(2));
  ASSERT_FALSE(life.detach(attached->attachment)->error);
  EXPECT_FALSE(host.kernel->tree().exists(address_of(1)));
  EXPECT_FALSE(std::filesystem::exists(folder / "device-1"));
  EXPECT_TRUE(std::filesystem::exists(folder / "device-2"));
}

TEST_F(Virtnet, ADeviceThatTheHostDoesNotSeeIsTakenBack) {
  DpuLife life(host, folder / "virtnet");
  life.dpu.spawn("dpu", be_a_dpu());
  is_unplugged = true;
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "FUNCTION_DID_NOT_APPEAR");
  EXPECT_FALSE(std::filesystem::exists(folder / "device-1"));
  EXPECT_THAT(life.agent.attachments().list(), IsEmpty());
}

TEST_F(Virtnet, ARefusalIsTheControllersOwn) {
  put("full");
  DpuLife life(host, folder / "virtnet");
  life.set_up();
  const auto attached = life.attach(VfLife::intent("vm-1", 5));
  ASSERT_TRUE(attached->error);
  EXPECT_EQ(attached->error->reason, "VIRTNET_REFUSED");
  EXPECT_THAT(attached->error->message, HasSubstr("No more hotplug devices"));
}

TEST_F(Virtnet, AControllerThatHangsOrTalksWithoutEndIsKilledByName) {
  DpuLife life(host, folder / "virtnet", std::chrono::milliseconds(500));
  life.set_up();
  put("hangs");
  EXPECT_EQ(life.attach(VfLife::intent("vm-1", 5))->error->reason, "CHILD_TIMED_OUT");
  std::filesystem::remove(folder / "hangs");
  put("talks");
  EXPECT_EQ(life.attach(VfLife::intent("vm-2", 6))->error->reason, "CHILD_SAYS_TOO_MUCH");
  std::filesystem::remove(folder / "talks");
}

TEST_F(Virtnet, AControllerThatIsNotThereIsNamed) {
  DpuLife life(host, folder / "nothing");
  life.set_up();
  EXPECT_EQ(life.attach(VfLife::intent("vm-1", 5))->error->reason, "CHILD_NOT_STARTED");
}

}  // namespace
}  // namespace berth::testing
