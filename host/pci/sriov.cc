#include "host/pci/sriov.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace berth::host {
namespace {

std::unexpected<Error> refused(std::string reason, std::string message) {
  return fail(Code::kFailedPrecondition, std::move(reason), std::move(message));
}

// What the errno of sriov_numvfs means.
std::unexpected<Error> explain(PciAddress pf, const Error& error) {
  switch (errno_of(error)) {
    case ENOENT:
      return refused("PF_HAS_NO_DRIVER",
                     fmt::format("{}: no driver that can make VFs is bound to it: {}", pf, error.message));
    case ENOMEM:
      return fail(
          Code::kResourceExhausted, "NO_ROOM_FOR_VFS",
          fmt::format("{}: not enough bus numbers or MMIO space (firmware: SR-IOV, above 4G decoding; "
                      "kernel: pci=realloc): {}",
                      pf, error.message));
    case ERANGE:
      return fail(Code::kResourceExhausted, "TOO_MANY_VFS", fmt::format("{}: {}", pf, error.message));
    default:
      return std::unexpected(error.in(pf.str()));
  }
}

}  // namespace

Task<std::vector<PciAddress>> Sriov::ensure_vfs(PciAddress pf, std::uint16_t count,
                                                std::set<std::uint16_t> leased) {
  const auto function = tree_.read(pf);
  if (!function) co_return pass(function);
  if (function->total_vfs == 0)
    co_return refused("NOT_A_PF", fmt::format("{} has no SR-IOV: firmware or device cannot", pf));
  if (function->total_vfs < count) {
    co_return fail(Code::kResourceExhausted, "TOO_MANY_VFS",
                   fmt::format("{} can have {} VFs, not {}", pf, function->total_vfs, count));
  }
  const auto present = tree_.vfs_of(pf);
  if (!leased.empty() && present.size() <= *leased.rbegin()) {
    co_return refused("VFS_LOST", fmt::format("{} has {} VFs; vf{} is leased to an attachment", pf,
                                              present.size(), *leased.rbegin()));
  }
  if (present.size() < count) {
    const auto has_driver = [&](PciAddress vf) { return !tree_.driver_of(vf).empty(); };
    if (!leased.empty() || std::ranges::any_of(present, has_driver)) {
      co_return refused(
          "VFS_IN_USE",
          fmt::format("{} has {} VFs and needs {}, which destroys them first; {}", pf, present.size(), count,
                      leased.empty() ? "a driver is bound to one" : "one is leased"));
    }
    if (!present.empty()) {
      const auto removed = co_await remove_all(pf);
      if (!removed) co_return pass(removed);
    }
    const auto made = co_await make(pf, count);
    if (!made) co_return pass(made);
  }
  auto vfs = tree_.vfs_of(pf);
  for (const PciAddress& vf : vfs) {
    if (tree_.physical_of(vf) != pf)
      co_return refused("VFS_LOST", fmt::format("{} does not say that it is a VF of {}", vf, pf));
  }
  co_return vfs;
}

// A success may still mean fewer: what counts is what is there afterwards.
Task<void> Sriov::make(PciAddress pf, std::uint16_t count) {
  const auto quiet =
      co_await worker_.write(pf, tree_.device(pf) / "sriov_drivers_autoprobe", "0", deadlines_.attribute);
  if (!quiet) co_return explain(pf, quiet.error());
  const auto set = co_await set_count(pf, count, deadlines_.create_vfs);
  if (!set) co_return explain(pf, set.error());
  const auto all_there = [this, pf, count] { return tree_.vfs_of(pf).size() >= count; };
  const auto visible = co_await events_.wait_until(all_there, deadlines_.vfs_visible);
  if (visible) co_return visible;
  if (visible.error().code != Code::kDeadlineExceeded) co_return visible;
  co_return fail(Code::kResourceExhausted, "TOO_FEW_VFS",
                 fmt::format("{}: {} of {} VFs have come", pf, tree_.vfs_of(pf).size(), count));
}

Task<void> Sriov::remove_all(PciAddress pf) {
  const auto set = co_await set_count(pf, 0, deadlines_.destroy_vfs);
  if (!set) co_return explain(pf, set.error());
  const auto all_gone = [this, pf] { return tree_.vfs_of(pf).empty(); };
  co_return co_await events_.wait_until(all_gone, deadlines_.vfs_visible);
}

Task<void> Sriov::set_count(PciAddress pf, std::uint16_t count, std::chrono::milliseconds deadline) {
  return worker_.write(pf, tree_.device(pf) / "sriov_numvfs", std::to_string(count), deadline);
}

}  // namespace berth::host
