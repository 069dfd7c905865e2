#include "host/unmanaged_driver.h"

#include "tests/fakes/run_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::HasSubstr;

TEST(UnmanagedDriver, NoStepIsTakenAndNoneSaysThatItWas) {
  asio::io_context io;
  UnmanagedDriver driver;
  const VmId vm = VmId::trusted("vm-1");
  const Function vf{.index = 0};
  const auto expect_not_ours = [&](const char* step, Task<StepOutcome> task) {
    const auto outcome = testing::run_until_done(io, std::move(task));
    ASSERT_TRUE(outcome) << step;
    EXPECT_EQ(outcome->status, StepStatus::kNotApplicable) << step;
    EXPECT_THAT(outcome->detail, HasSubstr("unmanaged")) << step;
    EXPECT_FALSE(outcome->address) << step;
  };
  expect_not_ours("prepare", driver.prepare({.function = vf}));
  expect_not_ours("expose", driver.expose({.function = vf}));
  expect_not_ours("bind", driver.bind(vf));
  expect_not_ours("plug", driver.plug(vf, vm));
  expect_not_ours("unplug", driver.unplug(vf, vm));
  expect_not_ours("unbind", driver.unbind(vf));
  expect_not_ours("reset", driver.reset(vf));
  expect_not_ours("set_rate", driver.set_rate({.function = vf}));
  EXPECT_TRUE(testing::run_until_done(io, driver.find_drift({.function = vf}, vm))->empty());
}

}  // namespace
}  // namespace berth::host
