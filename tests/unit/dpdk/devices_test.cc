// What DPDK is started with. The keys of mlx5 are those of its guide; no NIC has ever been given them by us.
#include "dataplane/dpdk/devices.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane::dpdk {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> arguments_of(const EalOptions& options) {
  return eal_arguments(options, "0,1", "berth-7");
}

TEST(Devices, TheSoftwareEswitchTouchesNoPciDevice) {
  const auto arguments = arguments_of(eal_options(SoftEswitchOptions{
      .uplink = af_packet_backing("eth1"), .functions = {vhost_user_backing(0, "/run/berth/vf0.sock")}}));
  EXPECT_THAT(arguments,
              ElementsAre("berth", "--no-telemetry", "--log-level=*:error", "--lcores=0@(0,1)",
                          "--file-prefix=berth-7", "-m", "256", "--no-huge", "--no-pci",
                          "--vdev=net_af_packet0,iface=eth1", "--vdev=net_vhost0,iface=/run/berth/vf0.sock",
                          "--vdev=net_berth0,uplink=net_af_packet0,idle_nap=50,function=net_vhost0"));
}

TEST(Devices, ANicIsTakenByItsAddressAndNothingElseIs) {
  const auto arguments = arguments_of(eal_options(NicEswitchOptions{.pci = "0000:3b:00.0", .functions = 4}));
  EXPECT_THAT(arguments, ElementsAre("berth", "--no-telemetry", "--log-level=*:error", "--lcores=0@(0,1)",
                                     "--file-prefix=berth-7", "-m", "512", "--in-memory",
                                     "--single-file-segments", "--log-level=*mlx5*:warning", "-a",
                                     "0000:3b:00.0,representor=vf[0-3],dv_flow_en=1,dv_esw_en=1,"
                                     "dv_xmeta_en=0,fdb_def_rule_en=1"));
}

TEST(Devices, EachEngineOfMlx5HasItsNumber) {
  const auto devargs = [](std::uint16_t functions, SteeringMode steering) {
    return eal_options(NicEswitchOptions{.pci = "0000:3b:00.0", .functions = functions, .steering = steering})
        .pci.front();
  };
  EXPECT_THAT(devargs(1, SteeringMode::kHardware), AllOf(HasSubstr(",dv_flow_en=2,"), HasSubstr("=vf[0],")));
  EXPECT_THAT(devargs(31, SteeringMode::kSoftware),
              AllOf(HasSubstr(",dv_flow_en=1,"), HasSubstr("=vf[0-30],")));
}

// What its parser does not know it refuses, and makes no port.
TEST(Devices, TheInstalledDriverKnowsEachKey) {
  const auto driver = find_mlx5_driver();
  if (driver.empty()) GTEST_SKIP() << "needs librte-net-mlx5-23 (tools/deps install nic)";
  std::ostringstream content;
  content << std::ifstream(driver, std::ios::binary).rdbuf();
  const std::string binary = content.str();
  const auto knows = [&](const std::string& key) { return binary.contains('\0' + key + '\0'); };
  std::istringstream devargs(
      eal_options(NicEswitchOptions{.pci = "0000:3b:00.0", .functions = 4}).pci.front());
  std::string part;
  ASSERT_TRUE(std::getline(devargs, part, ','));
  EXPECT_EQ(part, "0000:3b:00.0");
  int keys = 0;
  for (; std::getline(devargs, part, ','); ++keys) EXPECT_TRUE(knows(part.substr(0, part.find('=')))) << part;
  EXPECT_EQ(keys, 5);
  EXPECT_FALSE(knows("fdb_def_rule"));
}

TEST(Devices, ANicsOptionsAreThoseOfTheConfiguration) {
  const auto options = nic_options({.functions = 6, .pci = PciAddress{0, 0x3b, 0, 0}, .steering = "hws"});
  EXPECT_EQ(options.pci, "0000:3b:00.0");
  EXPECT_EQ(options.functions, 6);
  EXPECT_EQ(options.steering, SteeringMode::kHardware);
  EXPECT_EQ(proxy_of(options), "0000:3b:00.0") << "DPDK calls the uplink's ethdev like its device";
}

}  // namespace
}  // namespace berth::dataplane::dpdk
