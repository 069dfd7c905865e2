#include "host/pci/sriov.h"

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/run_task.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::pci;

constexpr Deadlines kShort{.attribute = milliseconds(1000),
                           .create_vfs = milliseconds(1000),
                           .destroy_vfs = milliseconds(1000),
                           .vfs_visible = milliseconds(1000)};

class SriovTest : public ::testing::Test {
 protected:
  SriovTest() { kernel->add({.address = kPf, .group = 1, .total_vfs = 4}); }
  ~SriovTest() override { kernel->let_go(); }
  Result<std::vector<PciAddress>> ensure(std::uint16_t count, std::set<std::uint16_t> leased = {}) {
    return testing::run_until_done(io, sriov.ensure_vfs(kPf, count, std::move(leased)));
  }
  // As somebody else made them: with drivers.
  void make_vfs(const char* count) { ASSERT_TRUE(kernel->write(tree.device(kPf) / "sriov_numvfs", count)); }

  const PciAddress kPf = pci("0000:01:00.0");
  asio::io_context io;
  std::shared_ptr<testing::FakeKernel> kernel = std::make_shared<testing::FakeKernel>();
  PciTree tree = kernel->tree();
  PciEvents events{io.get_executor(), milliseconds(2)};
  SysfsWorker worker{io.get_executor(), kernel};
  Sriov sriov{tree, worker, events, kShort};
};

TEST_F(SriovTest, MakesVfsThatNoDriverOfTheHostTakes) {
  const auto vfs = ensure(2);
  ASSERT_TRUE(vfs) << vfs.error().message;
  EXPECT_EQ(*vfs, tree.vfs_of(kPf));
  ASSERT_EQ(vfs->size(), 2U);
  for (const auto& vf : *vfs) EXPECT_EQ(kernel->driver_of(vf), "");
  EXPECT_THAT(kernel->writes(), ElementsAre("sriov_drivers_autoprobe 0", "sriov_numvfs 2"));
  EXPECT_TRUE(ensure(2, {0, 1}));
  EXPECT_TRUE(ensure(1));
  EXPECT_EQ(kernel->writes().size(), 2U) << "what is there is not made again";
}

TEST_F(SriovTest, TooFewThatNobodyUsesAreMadeAnewThroughZero) {
  ASSERT_TRUE(ensure(2));
  const auto more = ensure(3);
  ASSERT_TRUE(more) << more.error().message;
  EXPECT_EQ(more->size(), 3U);
  EXPECT_THAT(kernel->writes(), ElementsAre("sriov_drivers_autoprobe 0", "sriov_numvfs 2", "sriov_numvfs 0",
                                            "sriov_drivers_autoprobe 0", "sriov_numvfs 3"));
}

TEST_F(SriovTest, NothingIsDestroyedThatIsLeasedOrHasADriver) {
  ASSERT_TRUE(ensure(2));
  const auto writes = kernel->writes().size();
  EXPECT_EQ(ensure(3, {1}).error().reason, "VFS_IN_USE");
  EXPECT_EQ(ensure(2, {3}).error().reason, "VFS_LOST");
  EXPECT_EQ(kernel->writes().size(), writes);
}

TEST_F(SriovTest, ForeignVfsWithDriversAreNotDestroyed) {
  make_vfs("1");
  ASSERT_EQ(kernel->driver_of(tree.vfs_of(kPf).at(0)), "igbvf");
  EXPECT_EQ(ensure(2).error().reason, "VFS_IN_USE");
  EXPECT_EQ(tree.vfs_of(kPf).size(), 1U);
  EXPECT_TRUE(ensure(1)) << "but they may be had";
}

TEST_F(SriovTest, NamesWhatCannotBe) {
  EXPECT_EQ(ensure(5).error().reason, "TOO_MANY_VFS");
  kernel->refuse("sriov_numvfs", ENOMEM);
  EXPECT_EQ(ensure(2).error().reason, "NO_ROOM_FOR_VFS");
  kernel->refuse("sriov_numvfs", ENOENT);
  EXPECT_EQ(ensure(2).error().reason, "PF_HAS_NO_DRIVER");
  kernel->refuse("sriov_numvfs", 0);
  kernel->add({.address = pci("0000:02:00.0"), .group = 2});
  const auto no_pf = testing::run_until_done(io, sriov.ensure_vfs(pci("0000:02:00.0"), 1, {}));
  EXPECT_EQ(no_pf.error().reason, "NOT_A_PF");
  EXPECT_THAT(tree.vfs_of(kPf), IsEmpty());
}

TEST_F(SriovTest, AWriteThatHangsIsUnknownAndComesTrueLater) {
  kernel->hang("sriov_numvfs");
  EXPECT_EQ(ensure(2).error().reason, "SYSFS_WRITE_STUCK");
  EXPECT_EQ(ensure(2).error().reason, "SYSFS_WRITE_STUCK") << "no second one is begun";
  kernel->let_go();
  while (!worker.stuck().empty()) {
    io.restart();
    io.poll();
  }
  const auto writes = kernel->writes().size();
  EXPECT_EQ(ensure(2)->size(), 2U);
  EXPECT_EQ(kernel->writes().size(), writes) << "read again, not made again";
}

}  // namespace
}  // namespace berth::host
