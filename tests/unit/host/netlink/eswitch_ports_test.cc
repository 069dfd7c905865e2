// At the start every VF of a NIC in switchdev mode has its representor: the right one, hardened, and up.
#include "host/netlink/eswitch_ports.h"

#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/unit/host/netlink/fake_switchdev.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const DevlinkDevice kNic = DevlinkDevice::pci({0, 0x3b, 0, 0});

class EswitchPortsTest : public ::testing::Test {
 protected:
  // Two NICs whose VFs have the same numbers; udev has named the representors as it liked.
  EswitchPortsTest() {
    kernel.netdevs = {{.ifindex = 2, .name = "enp59s0f0np0", .port = "p0", .mtu = 9000, .is_up = true},
                      {.ifindex = 9, .name = "eth0", .port = "pf0vf0", .nic = 2, .vf = 0},
                      {.ifindex = 8, .name = "enp94s0f0np0", .port = "p0", .nic = 2, .is_up = true},
                      {.ifindex = 5, .name = "eth3", .port = "pf0vf1", .vf = 1},
                      {.ifindex = 6, .name = "eth1", .port = "pf0vf0", .vf = 0}};
    for (const auto& one : kernel.netdevs) {
      std::filesystem::create_directories(ipv6_of(one.name).parent_path());
      std::ofstream(ipv6_of(one.name)) << "0\n";
    }
  }
  std::filesystem::path ipv6_of(const std::string& netdev) {
    return root / "proc/sys/net/ipv6/conf" / netdev / "disable_ipv6";
  }
  bool speaks_ipv6(const std::string& netdev) {
    std::string value;
    std::ifstream(ipv6_of(netdev)) >> value;
    return value == "0";
  }
  Result<EswitchPorts> ensure(std::uint16_t count) {
    return testing::run_until_done(io, ensure_ports(devlink, representors, kNic, count));
  }

  asio::io_context io;
  FakeSwitchdev kernel;
  const testing::TestFolder root{"eswitch-ports"};
  NetlinkChannel channel{io.get_executor(), [this](NlProtocol protocol, const Bytes& request) {
                           return Result<NlAnswer>(kernel.answer(protocol, request));
                         }};
  Devlink devlink{channel};
  Representors representors{channel, root.path()};
};

TEST_F(EswitchPortsTest, EachVfHasTheRepresentorOfItsOwnNic) {
  const auto ports = ensure(2);
  ASSERT_TRUE(ports) << ports.error().message;
  EXPECT_EQ(ports->mode, EswitchMode::kSwitchdev);
  ASSERT_EQ(ports->functions.size(), 2U);
  EXPECT_EQ(ports->functions[0].vf, 0);
  EXPECT_EQ(ports->functions[0].representor.name, "eth1");
  EXPECT_EQ(ports->functions[1].vf, 1);
  EXPECT_EQ(ports->functions[1].representor.name, "eth3");
}

TEST_F(EswitchPortsTest, ItIsUpWithTheUplinksMtuAndTheOtherNicsIsNotTouched) {
  ASSERT_TRUE(ensure(2));
  for (const int ifindex : {5, 6}) {
    EXPECT_TRUE(kernel.at(ifindex).is_up);
    EXPECT_EQ(kernel.at(ifindex).mtu, 9000U);
  }
  EXPECT_FALSE(kernel.at(9).is_up);
  EXPECT_TRUE(speaks_ipv6("eth0"));
  EXPECT_TRUE(speaks_ipv6("enp59s0f0np0")) << "the uplink is the host's";
}

TEST_F(EswitchPortsTest, WhatSomebodyElseMadeOfItIsUndoneAndTold) {
  kernel.at(6).master = 12;
  kernel.at(6).ips = {0x0a000001};
  const auto ports = ensure(2);
  ASSERT_TRUE(ports) << ports.error().message;
  EXPECT_THAT(ports->functions[0].undone, ElementsAre("IPv6", "member of link 12", "address 10.0.0.1/24"));
  EXPECT_EQ(kernel.at(6).master, 0);
  EXPECT_THAT(kernel.at(6).ips, IsEmpty());
  EXPECT_FALSE(speaks_ipv6("eth1"));
  EXPECT_THAT(ensure(2)->functions[0].undone, IsEmpty()) << "the second time nothing is left to undo";
}

TEST_F(EswitchPortsTest, AVfWithoutOneIsNamed) {
  const auto ports = ensure(3);
  ASSERT_FALSE(ports);
  EXPECT_EQ(ports.error().reason, "REPRESENTOR_UNKNOWN");
  EXPECT_THAT(ports.error().message, HasSubstr("pci/0000:3b:00.0 is in switchdev mode, and VF 2 has no"));
}

// On a DPU the functions are its host's.
TEST_F(EswitchPortsTest, VfsOfAnotherControllerAreFoundUnlessThereAreTwoOfANumber) {
  kernel.at(6).controller = 1;
  kernel.at(6).port = "c1pf0vf0";
  const auto ports = ensure(1);
  ASSERT_TRUE(ports) << ports.error().message;
  EXPECT_EQ(ports->functions[0].representor.name, "eth1");
  kernel.at(5).vf = 0;
  EXPECT_EQ(ensure(1).error().reason, "REPRESENTOR_AMBIGUOUS");
}

TEST_F(EswitchPortsTest, ALegacyNicHasNoneAndIsLeftAlone) {
  kernel.mode = DEVLINK_ESWITCH_MODE_LEGACY;
  const auto legacy = ensure(2);
  EXPECT_EQ(legacy->mode, EswitchMode::kLegacy);
  EXPECT_THAT(legacy->functions, IsEmpty());
  kernel.eswitch_error = EOPNOTSUPP;
  EXPECT_EQ(ensure(2)->mode, std::nullopt);
  kernel.eswitch_error = ENODEV;
  EXPECT_EQ(ensure(2)->mode, std::nullopt);
  EXPECT_FALSE(kernel.at(6).is_up);
}

TEST_F(EswitchPortsTest, AnEswitchThatCannotBeReadIsNotTakenForNone) {
  kernel.eswitch_error = EIO;
  EXPECT_EQ(ensure(2).error().reason, "DEVLINK_REFUSED");
}

}  // namespace
}  // namespace berth::host
