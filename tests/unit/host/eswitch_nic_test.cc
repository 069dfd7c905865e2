// What is missing of a NIC has a name and a cure, before DPDK would say "no ports".
#include "host/eswitch_nic.h"

#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/unit/host/netlink/fake_switchdev.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class EswitchNicTest : public ::testing::Test {
 protected:
  // A ConnectX in switchdev mode with two VFs; beside it another one, whose ports are not its.
  EswitchNicTest() {
    kernel.netdevs = {{.ifindex = 2, .name = "enp59s0f0np0", .port = "p0"},
                      {.ifindex = 6, .name = "eth1", .port = "pf0vf0", .vf = 0},
                      {.ifindex = 5, .name = "eth3", .port = "pf0vf1", .vf = 1},
                      {.ifindex = 8, .name = "enp94s0f0np0", .port = "p0", .nic = 2},
                      {.ifindex = 9, .name = "eth0", .port = "pf0vf2", .nic = 2, .vf = 2}};
    write(device() / "vendor", "0x15b3");
    write(device() / "device", "0x101d");
    write(device() / "class", "0x020000");
    bind("mlx5_core");
    fs::create_directories(device() / "infiniband_verbs/uverbs0");
    write(root / "kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "128");
    write(root / "kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1");
  }
  fs::path device() { return tree.device(needs.pf); }
  static void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  void bind(const std::string& driver) {
    fs::remove(device() / "driver");
    if (!driver.empty()) fs::create_symlink(root / "bus/pci/drivers" / driver, device() / "driver");
  }
  Result<void> check() { return testing::run_until_done(io, check_nic(needs, tree, devlink)); }
  void expect_refused(const std::string& reason, const std::string& what) {
    const auto checked = check();
    ASSERT_FALSE(checked) << reason;
    EXPECT_EQ(checked.error().reason, reason);
    EXPECT_THAT(checked.error().message, HasSubstr(what));
  }

  NicNeeds needs{.pf = {0, 0x3b, 0, 0},
                 .functions = 2,
                 .uplink = "enp59s0f0np0",
                 .has_dpdk_driver = true,
                 .hugepages_mib = 1024 + 256};
  asio::io_context io;
  FakeSwitchdev kernel;
  const testing::TestFolder root{"eswitch-nic"};
  const PciTree tree{root.path()};
  NetlinkChannel channel{io.get_executor(), [this](NlProtocol protocol, const Bytes& request) {
                           return Result<NlAnswer>(kernel.answer(protocol, request));
                         }};
  Devlink devlink{channel};
};

TEST_F(EswitchNicTest, AConnectXThatHasEverythingIsGood) {
  const auto checked = check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST_F(EswitchNicTest, AnAddressWithoutADevice) {
  needs.pf.bus = 0x3c;
  expect_refused("PCI_DEVICE_UNKNOWN", "there is no PCI function 0000:3c:00.0");
}

TEST_F(EswitchNicTest, ADeviceOfAnotherDriver) {
  bind("virtio-pci");
  expect_refused("NOT_A_CONNECTX", "0000:3b:00.0 (15b3:101d) has driver virtio-pci");
  bind("");
  expect_refused("NOT_A_CONNECTX", "has no driver");
}

TEST_F(EswitchNicTest, AVfInThePlaceOfItsPf) {
  fs::create_directories(root / "bus/pci/devices/0000:3b:00.1");
  fs::create_symlink("../0000:3b:00.1", device() / "physfn");
  expect_refused("NOT_A_PF", "a VF of 0000:3b:00.1");
}

TEST_F(EswitchNicTest, ALegacyEswitch) {
  kernel.mode = DEVLINK_ESWITCH_MODE_LEGACY;
  expect_refused("NOT_SWITCHDEV", "devlink dev eswitch set pci/0000:3b:00.0 mode switchdev");
  kernel.eswitch_error = EOPNOTSUPP;
  expect_refused("NOT_SWITCHDEV", "has no mode switchdev");
  kernel.eswitch_error = EIO;
  expect_refused("DEVLINK_REFUSED", "read the eSwitch mode");
}

TEST_F(EswitchNicTest, AnUplinkOfAnotherNic) {
  needs.uplink = "enp94s0f0np0";
  expect_refused("UPLINK_NOT_OF_NIC", "enp94s0f0np0 (underlay.device)");
  needs.uplink = "eth1";
  expect_refused("UPLINK_NOT_OF_NIC", "eth1 (underlay.device)");
}

TEST_F(EswitchNicTest, FewerVfsThanFunctions) {
  needs.functions = 3;
  expect_refused("VFS_MISSING", "0000:3b:00.0 has no VF 2 with a representor");
  needs.functions = 2;
  kernel.netdevs[1].ifindex = 0;  // devlink's port, and nothing behind it
  expect_refused("VFS_MISSING", "no VF 0 with");
}

// Seen from a DPU the VFs are the host's, and no VF is a PCI function of the DPU.
TEST_F(EswitchNicTest, VfsOfADpusHostAreVfs) {
  for (auto& netdev : kernel.netdevs) netdev.controller = 1;
  const auto checked = check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST_F(EswitchNicTest, WhatDpdksDriverStandsOn) {
  needs.has_dpdk_driver = false;
  expect_refused("DPDK_DRIVER_MISSING", "librte-net-mlx5");
  needs.has_dpdk_driver = true;
  needs.hugepages_mib += 1;
  expect_refused("HUGEPAGES_MISSING", "1280 MiB in hugepages are free, and at least 1281");
  fs::remove_all(root / "kernel/mm/hugepages");
  expect_refused("HUGEPAGES_MISSING", "0 MiB in hugepages");
  fs::remove_all(device() / "infiniband_verbs");
  expect_refused("VERBS_MISSING", "modprobe -a mlx5_ib ib_uverbs");
}

}  // namespace
}  // namespace berth::host
