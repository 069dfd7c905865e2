#include "host/vfio/vfio.h"

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/run_task.h"

#include <cerrno>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::pci;

constexpr Deadlines kShort{.group_released = milliseconds(20)};

class VfioTest : public ::testing::Test {
 protected:
  void add(std::optional<unsigned> group, std::uint32_t class_code = 0x020000) {
    kernel->add({.address = kNic, .class_code = class_code, .group = group});
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return testing::run_until_done(io, std::move(task));
  }
  std::string reason_of_bind() { return run(vfio.bind(kNic)).error().reason; }

  const PciAddress kNic = pci("0000:01:00.0");
  const PciAddress kOther = pci("0000:01:00.1");
  asio::io_context io;
  std::shared_ptr<testing::FakeKernel> kernel = std::make_shared<testing::FakeKernel>();
  PciTree tree = kernel->tree();
  PciEvents events{io.get_executor(), milliseconds(2)};
  SysfsWorker worker{io.get_executor(), kernel};
  Vfio vfio{tree, worker, events, kShort, kernel->dev()};
};

TEST_F(VfioTest, TakesAFunctionFromItsDriverAndGivesItBack) {
  add(7);
  ASSERT_EQ(kernel->driver_of(kNic), "igb");
  EXPECT_EQ(run(vfio.bind(kNic)).value(), 7U);
  EXPECT_EQ(kernel->driver_of(kNic), "vfio-pci");
  EXPECT_EQ(run(vfio.bind(kNic)).value(), 7U) << "again";
  kernel->soil(kNic);
  ASSERT_TRUE(run(vfio.unbind(kNic)));
  EXPECT_EQ(kernel->driver_of(kNic), "");
  EXPECT_EQ(kernel->override_of(kNic), "vfio-pci") << "not clean yet: nobody else's";
  EXPECT_EQ(run(vfio.reset(kNic)).value(), "flr");
  EXPECT_FALSE(kernel->is_dirty(kNic));
  ASSERT_TRUE(run(vfio.clear_override(kNic)));
  EXPECT_EQ(kernel->override_of(kNic), "");
}

TEST_F(VfioTest, NamesWhatIsMissingOnTheHost) {
  add(std::nullopt);
  EXPECT_EQ(reason_of_bind(), "IOMMU_OFF");
  std::filesystem::remove_all(kernel->root / "sys/bus/pci/drivers/vfio-pci");
  EXPECT_EQ(reason_of_bind(), "VFIO_PCI_MISSING");
  EXPECT_EQ(run(vfio.bind(kOther)).error().reason, "PCI_DEVICE_UNKNOWN");
  EXPECT_EQ(kernel->driver_of(kNic), "igb") << "untouched";
}

TEST_F(VfioTest, AGroupWithoutAnIommuIsNone) {
  add(7);
  std::ofstream(kernel->root / "sys/kernel/iommu_groups/7/name") << "vfio-noiommu\n";
  EXPECT_EQ(reason_of_bind(), "IOMMU_OFF");
}

TEST_F(VfioTest, ABridgeIsRefused) {
  add(7, 0x060400);
  EXPECT_EQ(reason_of_bind(), "IS_A_BRIDGE");
}

TEST_F(VfioTest, BridgesAndDriverlessFunctionsOfTheGroupDoNotMatter) {
  add(7);
  kernel->add(
      {.address = pci("0000:00:01.0"), .class_code = 0x060400, .host_driver = "pcieport", .group = 7});
  kernel->add({.address = kOther, .host_driver = "", .group = 7});
  EXPECT_TRUE(run(vfio.bind(kNic)));
}

TEST_F(VfioTest, AnotherFunctionWithADriverMakesTheGroupUnusable) {
  add(7);
  kernel->add({.address = kOther, .class_code = 0x040300, .host_driver = "snd_hda_intel", .group = 7});
  const auto bound = run(vfio.bind(kNic));
  EXPECT_EQ(bound.error().reason, "GROUP_NOT_VIABLE");
  EXPECT_THAT(bound.error().message, HasSubstr("snd_hda_intel"));
  EXPECT_EQ(kernel->driver_of(kNic), "igb") << "untouched";
}

TEST_F(VfioTest, AGroupThatSomebodyHasOpenIsNotShared) {
  add(7);
  kernel->add({.address = kOther, .group = 7});
  ASSERT_TRUE(kernel->write(tree.device(kOther) / "driver_override", "vfio-pci"));
  ASSERT_TRUE(kernel->write(tree.driver("igb") / "unbind", kOther.str()));
  ASSERT_TRUE(kernel->write(tree.drivers_probe(), kOther.str()));
  ASSERT_TRUE(kernel->open_group(kOther));
  EXPECT_EQ(reason_of_bind(), "GROUP_SHARED");
}

TEST_F(VfioTest, NothingIsUnboundThatSomebodyHasOpen) {
  add(7);
  ASSERT_TRUE(run(vfio.bind(kNic)));
  ASSERT_TRUE(kernel->open_group(kNic));
  EXPECT_EQ(run(vfio.unbind(kNic)).error().reason, "GROUP_HELD");
  EXPECT_TRUE(worker.stuck().empty()) << "the kernel was not even asked";
  kernel->close_group(kNic);
  EXPECT_TRUE(run(vfio.unbind(kNic)));
}

TEST_F(VfioTest, WhatNobodyTookIsNotReset) {
  add(7);
  EXPECT_THAT(run(vfio.reset(kNic)).value(), HasSubstr("not needed: igb has it"));
  EXPECT_TRUE(run(vfio.clear_override(kNic)));
  EXPECT_TRUE(kernel->writes().empty());
}

TEST_F(VfioTest, WhatIsBoundIsNotReset) {
  add(7);
  ASSERT_TRUE(run(vfio.bind(kNic)));
  EXPECT_EQ(run(vfio.reset(kNic)).error().reason, "STILL_BOUND");
}

TEST_F(VfioTest, AResetThatWipesNothingIsNone) {
  for (const auto& [methods, is_good] : {std::pair("", false),
                                         {"pm", false},
                                         {"pm flr", false},
                                         {"bus", true},
                                         {"device_specific flr bus", true}}) {
    const auto device = pci("0000:02:00.0");
    kernel->add({.address = device, .host_driver = "", .group = 9, .reset_methods = methods});
    kernel->soil(device);
    const auto reset = run(vfio.reset(device));
    EXPECT_EQ(reset.has_value(), is_good) << methods;
    if (!is_good) EXPECT_EQ(reset.error().reason, "NO_RESET_METHOD") << methods;
    EXPECT_EQ(kernel->is_dirty(device), !is_good);
    kernel->unplug(device);
  }
}

TEST_F(VfioTest, AVfWhoseVendorReadsAllOnesIsAlive) {
  kernel->add({.address = kNic, .group = 7, .total_vfs = 1});
  ASSERT_TRUE(kernel->write(tree.device(kNic) / "sriov_drivers_autoprobe", "0"));
  ASSERT_TRUE(kernel->write(tree.device(kNic) / "sriov_numvfs", "1"));
  const auto vf = tree.vfs_of(kNic).at(0);
  EXPECT_EQ(kernel->driver_of(vf), "");
  EXPECT_TRUE(run(vfio.reset(vf)));
  kernel->set_dies_at_reset(vf, true);
  EXPECT_EQ(run(vfio.reset(vf)).error().reason, "DEAD_AFTER_RESET");
}

}  // namespace
}  // namespace berth::host
