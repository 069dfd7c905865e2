// What a PF keeps of its VFs is set once, named when refused, and believed only when read back.
#include "host/netlink/vf_attributes.h"

#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/unit/host/netlink/fake_rtnetlink.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const PciAddress kPf{0, 0x3b, 0, 0};
constexpr MacAddress kMac{{2, 0, 0, 0, 0, 5}};

class VfAttributesTest : public ::testing::Test {
 protected:
  VfAttributesTest() {
    const auto device = root / "sys/bus/pci/devices" / kPf.str() / "net/enp59s0f0np0";
    std::filesystem::create_directories(device);
    std::ofstream(device / "ifindex") << "7\n";
    kernel.vfs[0] = kernel.vfs[3] = {
        .settings = {.mac = MacAddress{}, .rate = VfRate{}, .is_trusted = false, .is_spoof_checked = true},
        .guids = VfGuids{}};
  }

  Result<void> ensure(std::uint16_t vf, VfSettings settings) {
    return berth::testing::run_until_done(io, attributes.ensure(kPf, vf, settings));
  }

  asio::io_context io;
  FakeRtnetlink kernel;
  const testing::TestFolder root{"vf-attributes"};
  NetlinkChannel channel{io.get_executor(), [this](NlProtocol, const Bytes& request) -> Result<NlAnswer> {
                           return kernel.answer(request);
                         }};
  NetlinkVfAttributes attributes{channel, root.path()};
};

TEST_F(VfAttributesTest, WhatIsAskedForIsSetOnThatVfOnly) {
  ASSERT_TRUE(
      ensure(3, {.mac = kMac, .rate = VfRate{10, 100}, .is_trusted = true, .is_spoof_checked = false}));
  EXPECT_EQ(
      kernel.vfs[3].settings,
      (VfSettings{.mac = kMac, .rate = VfRate{10, 100}, .is_trusted = true, .is_spoof_checked = false}));
  EXPECT_EQ(kernel.vfs[0].settings.mac, MacAddress{});
  const auto read = berth::testing::run_until_done(io, attributes.read(kPf, 3));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, kernel.vfs[3].settings);
}

TEST_F(VfAttributesTest, WhatIsSoAlreadyIsNotAskedForAgain) {
  ASSERT_TRUE(ensure(3, {.mac = kMac, .rate = {}, .is_trusted = {}, .is_spoof_checked = true}));
  ASSERT_TRUE(ensure(3, {.mac = kMac, .rate = {}, .is_trusted = {}, .is_spoof_checked = true}));
  EXPECT_THAT(kernel.was_asked, ElementsAre(IFLA_VF_MAC));
}

TEST_F(VfAttributesTest, ARefusalNamesTheAttributeAndTheVf) {
  kernel.refuses[IFLA_VF_RATE] = EINVAL;
  const auto set = ensure(3, {.mac = kMac, .rate = VfRate{0, 100}, .is_trusted = {}, .is_spoof_checked = {}});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().reason, "VF_ATTRIBUTE_REFUSED");
  EXPECT_THAT(set.error().message, HasSubstr("set rate of VF 3 of 0000:3b:00.0: EINVAL"));
}

TEST_F(VfAttributesTest, AnEswitchWithoutTrustCannotTrust) {
  kernel.vfs[3].settings.is_trusted.reset();
  kernel.refuses[IFLA_VF_TRUST] = EOPNOTSUPP;
  const auto trusting = ensure(3, {.mac = {}, .rate = {}, .is_trusted = true, .is_spoof_checked = {}});
  ASSERT_FALSE(trusting);
  EXPECT_EQ(trusting.error().reason, "VF_ATTRIBUTE_UNSUPPORTED");
  EXPECT_TRUE(ensure(3, {.mac = {}, .rate = {}, .is_trusted = false, .is_spoof_checked = {}}))
      << "not to be trusted is what it does anyway";
}

TEST_F(VfAttributesTest, ADriverThatSaysYesAndDoesNothingIsFoundOut) {
  kernel.ignores.insert(IFLA_VF_MAC);
  const auto set = ensure(3, {.mac = kMac, .rate = {}, .is_trusted = {}, .is_spoof_checked = {}});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().reason, "VF_ATTRIBUTE_REFUSED");
  EXPECT_THAT(set.error().message, HasSubstr("MAC of VF 3"));
}

TEST_F(VfAttributesTest, AVfThatIsNotThereIsUnknown) {
  EXPECT_EQ(ensure(1, {.mac = kMac, .rate = {}, .is_trusted = {}, .is_spoof_checked = {}}).error().reason,
            "VF_UNKNOWN");
  std::filesystem::remove_all(root / "sys");
  EXPECT_EQ(ensure(3, {}).error().reason, "VF_UNKNOWN") << "the PF has no driver";
  EXPECT_THAT(kernel.was_asked, IsEmpty());
}

TEST_F(VfAttributesTest, GuidsOfInfinibandAreSetAndReadBack) {
  const VfGuids guids{0x0200'0000'0000'0001, 0x0200'0000'0000'0002};
  ASSERT_TRUE(berth::testing::run_until_done(io, attributes.ensure_guids(kPf, 3, guids)));
  EXPECT_EQ(kernel.vfs[3].guids, guids);
  kernel.ignores.insert(IFLA_VF_IB_PORT_GUID);
  const auto again = berth::testing::run_until_done(io, attributes.ensure_guids(kPf, 3, VfGuids{3, 4}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "VF_ATTRIBUTE_REFUSED");
}

}  // namespace
}  // namespace berth::host
