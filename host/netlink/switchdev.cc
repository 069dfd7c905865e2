#include "host/netlink/switchdev.h"

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr EswitchChange kLegacy{.mode = EswitchMode::kLegacy, .encap = {}};
constexpr EswitchChange kSwitchdev{.mode = EswitchMode::kSwitchdev, .encap = {}};

Task<void> back_to_start(EswitchModes& eswitch, VfCount& vfs) {
  // VFs first: a NIC that refuses a mode change often does so because of them.
  const auto none = co_await vfs.ensure(0);
  if (!none) co_return pass(none, "remove all VFs");
  co_return co_await eswitch.ensure(kLegacy);
}

Task<void> switchdev_first(EswitchModes& eswitch, VfCount& vfs, std::uint16_t count) {
  const auto mode = co_await eswitch.ensure(kSwitchdev);
  if (!mode) co_return pass(mode);
  co_return co_await vfs.ensure(count);
}

Task<void> vfs_first(EswitchModes& eswitch, VfCount& vfs, std::uint16_t count) {
  const auto there = co_await vfs.ensure(count);
  if (!there) co_return pass(there);
  co_return co_await eswitch.ensure(kSwitchdev);
}

}  // namespace

std::string_view order_name(SwitchdevOrder order) {
  switch (order) {
    case SwitchdevOrder::kWasSo:
      return "was so";
    case SwitchdevOrder::kSwitchdevFirst:
      return "switchdev first";
    case SwitchdevOrder::kVfsFirst:
      return "VFs first";
  }
  return "?";
}

Task<SwitchdevOrder> ensure_switchdev(EswitchModes& eswitch, VfCount& vfs, std::uint16_t count) {
  const auto state = co_await eswitch.read();
  if (!state) co_return pass(state);
  const auto now = co_await vfs.read();
  if (!now) co_return pass(now);
  if (state->mode == EswitchMode::kSwitchdev && *now == count) co_return SwitchdevOrder::kWasSo;

  const auto cleared = co_await back_to_start(eswitch, vfs);
  if (!cleared) co_return pass(cleared, "before switchdev mode");
  const auto first = co_await switchdev_first(eswitch, vfs, count);
  if (first) co_return SwitchdevOrder::kSwitchdevFirst;
  // Only a NIC's refusal is a reason to try the other order; what hangs or is not there stays so.
  if (first.error().code != Code::kFailedPrecondition) co_return pass(first, "switchdev mode first");

  const auto again = co_await back_to_start(eswitch, vfs);
  if (!again) co_return pass(again, fmt::format("after '{}'", first.error().message));
  const auto second = co_await vfs_first(eswitch, vfs, count);
  if (second) co_return SwitchdevOrder::kVfsFirst;
  (void)co_await back_to_start(eswitch, vfs);  // the refusals below say more than a failure of this
  co_return fail(
      Code::kFailedPrecondition, "SWITCHDEV_REFUSED",
      fmt::format("switchdev first: {}; VFs first: {}", first.error().message, second.error().message));
}

}  // namespace berth::host
