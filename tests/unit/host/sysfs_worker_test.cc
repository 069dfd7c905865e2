#include "host/pci/sysfs_worker.h"

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"

#include <cerrno>
#include <sys/stat.h>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::pci;

constexpr milliseconds kLong{10000};
constexpr milliseconds kShort{500};

class SysfsWorkerTest : public ::testing::Test {
 protected:
  SysfsWorkerTest() {
    kernel->add({.address = kA});
    kernel->add({.address = kB});
  }
  ~SysfsWorkerTest() override { kernel->let_go(); }
  Result<void> set_override(PciAddress device, std::string text, milliseconds deadline) {
    return testing::run_until_done(io, worker.write(device, kernel->tree().device(device) / "driver_override",
                                                    std::move(text), deadline));
  }
  void wait_until_free(PciAddress device) {
    while (worker.stuck().contains(device)) {
      io.restart();
      io.poll();
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  const PciAddress kA = pci("0000:01:00.0");
  const PciAddress kB = pci("0000:02:00.0");
  asio::io_context io;
  std::shared_ptr<testing::FakeKernel> kernel = std::make_shared<testing::FakeKernel>();
  SysfsWorker worker{io.get_executor(), kernel, 3};
};

TEST_F(SysfsWorkerTest, WritesAndReadsAndTellsTheKernelsRefusal) {
  ASSERT_TRUE(set_override(kA, "vfio-pci", kLong));
  EXPECT_EQ(kernel->override_of(kA), "vfio-pci");
  const auto text =
      testing::run_until_done(io, worker.read(kA, kernel->tree().device(kA) / "driver_override", 3, kLong));
  EXPECT_EQ(text.value(), "vfi");
  kernel->refuse("driver_override", EBUSY);
  const auto refused = set_override(kA, "", kLong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(errno_of(refused.error()), EBUSY);
  EXPECT_EQ(refused.error().reason, "KERNEL_REFUSED");
}

TEST_F(SysfsWorkerTest, AHangingWriteIsNamedAndNothingElseOfItsDeviceIsBegun) {
  kernel->hang("01:00.0/driver_override");
  const auto stuck = set_override(kA, "vfio-pci", kShort);
  ASSERT_FALSE(stuck);
  EXPECT_EQ(stuck.error().reason, "SYSFS_WRITE_STUCK");
  EXPECT_EQ(stuck.error().code, Code::kDeadlineExceeded);
  EXPECT_THAT(worker.stuck().at(kA), HasSubstr("driver_override"));
  const auto before = kernel->writes().size();
  const auto second = set_override(kA, "", kLong);
  EXPECT_EQ(second.error().reason, "SYSFS_WRITE_STUCK");
  EXPECT_THAT(second.error().message, HasSubstr("not begun"));
  EXPECT_EQ(kernel->writes().size(), before) << "the kernel has not seen the second";
  EXPECT_TRUE(set_override(kB, "vfio-pci", kLong)) << "others go on";

  kernel->let_go();
  wait_until_free(kA);
  EXPECT_TRUE(set_override(kA, "", kLong));
}

TEST_F(SysfsWorkerTest, ASecondCallWaitsForTheFirstOfItsDevice) {
  kernel->hang("01:00.0/driver_override");
  std::vector<std::string> ended;
  const auto write = [&](std::string text) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await worker.write(kA, kernel->tree().device(kA) / "driver_override", text, kLong));
    ended.push_back(text);
    if (ended.size() == 1) EXPECT_EQ(kernel->override_of(kA), "one");
  };
  asio::co_spawn(io, write("one"), asio::detached);
  asio::co_spawn(io, write("two"), asio::detached);
  while (kernel->hanging_count() == 0) io.poll();
  EXPECT_EQ(kernel->writes().size(), 1U);
  kernel->let_go();
  io.restart();
  io.run();
  EXPECT_THAT(ended, ElementsAre("one", "two"));
}

TEST_F(SysfsWorkerTest, WhenAllThreadsHangNothingIsDone) {
  kernel->hang("driver_override");
  std::vector<PciAddress> hanging;
  for (int i = 3; i < 6; ++i) {
    hanging.push_back(pci("0000:0" + std::to_string(i) + ":00.0"));
    kernel->add({.address = hanging.back()});
    EXPECT_EQ(set_override(hanging.back(), "x", kShort).error().reason, "SYSFS_WRITE_STUCK");
  }
  const auto exhausted = set_override(kA, "x", kShort);
  EXPECT_EQ(exhausted.error().reason, "SYSFS_THREADS_EXHAUSTED");
  EXPECT_EQ(exhausted.error().code, Code::kResourceExhausted);
  EXPECT_FALSE(worker.stuck().contains(kA));
  kernel->let_go();
  for (const auto& device : hanging) wait_until_free(device);
  EXPECT_TRUE(set_override(kB, "y", kLong));
  EXPECT_EQ(kernel->override_of(kA), "") << "what was given up before it began never happens";
}

TEST(SysfsWorkerEnd, DoesNotWaitForWhatHangs) {
  const auto kernel = std::make_shared<testing::FakeKernel>();
  const auto device = pci("0000:01:00.0");
  kernel->add({.address = device});
  kernel->hang("driver_override");
  {
    asio::io_context io;
    SysfsWorker worker(io.get_executor(), kernel);
    const auto file = kernel->tree().device(device) / "driver_override";
    EXPECT_FALSE(testing::run_until_done(io, worker.write(device, file, "late", kShort)));
  }
  // Loop and worker are gone; the thread comes back and touches neither.
  kernel->let_go();
  while (kernel.use_count() > 1) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(kernel->override_of(device), "late") << "unknown is not undone: it came true in the end";
}

// The real files: a FIFO without a reader hangs in open(2) as a driver hangs in write(2).
TEST(SysfsWorkerReal, AFifoWithoutReaderHangsAndIsLeftAlone) {
  const testing::TestFolder folder("fifo");
  const auto fifo = folder / "sriov_numvfs";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  asio::io_context io;
  {
    SysfsWorker worker(io.get_executor(), std::make_shared<RealKernelFiles>());
    const auto device = pci("0000:01:00.0");
    EXPECT_EQ(testing::run_until_done(io, worker.write(device, fifo, "4", kShort)).error().reason,
              "SYSFS_WRITE_STUCK");
    const auto missing =
        testing::run_until_done(io, worker.write(pci("0000:02:00.0"), folder / "nothing", "4", kLong));
    EXPECT_EQ(errno_of(missing.error()), ENOENT);
  }
  EXPECT_EQ(RealKernelFiles().read(fifo, 8).value(), "4") << "lets it go";
}

}  // namespace
}  // namespace berth::host
