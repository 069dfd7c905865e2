// Which comes first, VFs or switchdev mode, is the NIC's decision; it gets two tries.
#include "host/netlink/switchdev.h"

#include "tests/fakes/run_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using berth::testing::run_until_done;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unexpected<Error> refusal(const std::string& words) {
  return fail(Code::kFailedPrecondition, "DEVLINK_REFUSED", words);
}

// A NIC whose rules about the order can be chosen.
struct Nic : EswitchModes {
  EswitchMode mode = EswitchMode::kLegacy;
  std::uint16_t vfs = 0;
  bool wants_no_vfs_before = false;  // ice
  bool wants_vfs_before = false;     // VFs that come later do not come
  bool hangs = false;
  std::vector<std::string> log;

  Task<EswitchState> read() override { co_return EswitchState{.mode = mode, .encap = {}}; }
  Task<void> ensure(EswitchChange wanted) override {
    if (wanted.mode == mode) co_return Result<void>();
    log.emplace_back(wanted.mode == EswitchMode::kLegacy ? "legacy" : "switchdev");
    if (hangs) co_return fail(Code::kDeadlineExceeded, "NETLINK_STUCK", "no answer");
    if (wanted.mode == EswitchMode::kSwitchdev && wants_no_vfs_before && vfs > 0)
      co_return refusal("there are VFs");
    mode = *wanted.mode;
    co_return Result<void>();
  }
  struct Vfs : VfCount {
    explicit Vfs(Nic& of) : nic(of) {}
    Nic& nic;
    Task<std::uint16_t> read() override { co_return nic.vfs; }
    Task<void> ensure(std::uint16_t count) override {
      if (count == nic.vfs) co_return Result<void>();
      nic.log.push_back(std::to_string(count) + " VFs");
      if (count > 0 && nic.mode == EswitchMode::kSwitchdev && nic.wants_vfs_before)
        co_return refusal("too late");
      nic.vfs = count;
      co_return Result<void>();
    }
  };
};

struct Host {
  asio::io_context io;
  Nic nic;
  Nic::Vfs vfs{nic};
  Result<SwitchdevOrder> ensure(std::uint16_t count) {
    return run_until_done(io, ensure_switchdev(nic, vfs, count));
  }
};

TEST(Switchdev, ComesFirstWhereTheNicTakesIt) {
  Host host;
  EXPECT_EQ(host.ensure(4), SwitchdevOrder::kSwitchdevFirst);
  EXPECT_THAT(host.nic.log, ElementsAre("switchdev", "4 VFs"));
}

TEST(Switchdev, FollowsTheVfsWhereTheNicWantsThemBefore) {
  Host host;
  host.nic.wants_vfs_before = true;
  EXPECT_EQ(host.ensure(4), SwitchdevOrder::kVfsFirst);
  EXPECT_THAT(host.nic.log, ElementsAre("switchdev", "4 VFs", "legacy", "4 VFs", "switchdev"));
  EXPECT_EQ(host.nic.vfs, 4);
}

TEST(Switchdev, IsLeftAloneWhereItIsSo) {
  Host host;
  host.nic.mode = EswitchMode::kSwitchdev;
  host.nic.vfs = 4;
  EXPECT_EQ(host.ensure(4), SwitchdevOrder::kWasSo);
  EXPECT_THAT(host.nic.log, IsEmpty());
}

TEST(Switchdev, StartsFromNothingWhereSomethingElseIs) {
  Host host;
  host.nic.vfs = 2;
  host.nic.wants_no_vfs_before = true;
  EXPECT_EQ(host.ensure(4), SwitchdevOrder::kSwitchdevFirst);
  EXPECT_THAT(host.nic.log, ElementsAre("0 VFs", "switchdev", "4 VFs"));
}

TEST(Switchdev, IsAFaultWhereBothOrdersAreRefused) {
  Host host;
  host.nic.wants_vfs_before = host.nic.wants_no_vfs_before = true;
  const auto order = host.ensure(4);
  ASSERT_FALSE(order);
  EXPECT_EQ(order.error().reason, "SWITCHDEV_REFUSED");
  EXPECT_THAT(order.error().message, HasSubstr("too late"));
  EXPECT_THAT(order.error().message, HasSubstr("there are VFs"));
  EXPECT_EQ(host.nic.vfs, 0) << "nothing half-made is left";
  EXPECT_EQ(host.nic.mode, EswitchMode::kLegacy);
}

TEST(Switchdev, IsNotTriedAgainWhereTheDriverHangs) {
  Host host;
  host.nic.hangs = true;
  const auto order = host.ensure(4);
  ASSERT_FALSE(order);
  EXPECT_EQ(order.error().reason, "NETLINK_STUCK");
  EXPECT_THAT(host.nic.log, ElementsAre("switchdev"));
}

}  // namespace
}  // namespace berth::host
