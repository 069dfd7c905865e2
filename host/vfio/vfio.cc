#include "host/vfio/vfio.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

namespace berth::host {
namespace {

const std::string kDriver = "vfio-pci";
constexpr const char* kUnsetOverride = "(null)";
constexpr std::chrono::milliseconds kHeldPoll{20};

std::unexpected<Error> refused(std::string reason, std::string message) {
  return fail(Code::kFailedPrecondition, std::move(reason), std::move(message));
}

// A late confirmation has a name of its own; a cancelled wait has not.
std::unexpected<Error> not_confirmed(const Error& why, std::string reason, std::string message) {
  if (why.code != Code::kDeadlineExceeded) return std::unexpected(why);
  return refused(std::move(reason), std::move(message));
}

std::string first_word(const std::string& text) {
  return text.substr(0, text.find_first_of(" \n"));
}

}  // namespace

Task<unsigned> Vfio::bind(PciAddress function) {
  const auto read = tree_.read(function);
  if (!read) co_return pass(read);
  if (read->is_bridge()) co_return refused("IS_A_BRIDGE", fmt::format("{} is a bridge", function));
  if (!tree_.has_driver(kDriver))
    co_return refused("VFIO_PCI_MISSING", "the kernel has no vfio-pci driver (modprobe vfio-pci)");
  const auto group = check_group(function);
  if (!group) co_return group;
  if (tree_.driver_of(function) != kDriver) {
    const auto taken = co_await take(function);
    if (!taken) co_return pass(taken);
  }
  const auto still_viable = check_group(function);
  if (!still_viable) co_return still_viable;
  const auto has_node = [path = node(*group)] {
    std::error_code error;
    return std::filesystem::exists(path, error);
  };
  const auto opened = co_await events_.wait_until(has_node, deadlines_.bind);
  if (!opened)
    co_return not_confirmed(opened.error(), "NO_GROUP_NODE",
                            fmt::format("{}: there is no {}", function, node(*group).string()));
  co_return *group;
}

// The override comes first: with it nobody else's driver can get in between, and without it a VF of a PF with
// sriov_drivers_autoprobe = 0 is not probed at all.
Task<void> Vfio::take(PciAddress function) {
  const auto forced = co_await ensure_override(function, kDriver);
  if (!forced) co_return forced;
  const auto driverless = co_await ensure_no_driver(function);
  if (!driverless) co_return driverless;
  const auto probed = co_await probe(function);
  if (!probed) co_return probed;
  // Nobody can have opened it yet, so whoever has the group open has another function of it.
  auto alone = co_await check_not_held(function);
  if (!alone && alone.error().reason == "GROUP_HELD") alone.error().reason = "GROUP_SHARED";
  co_return alone;
}

// All functions of a group share one address space of the IOMMU: a driver of the host's among them would be
// within the VM's reach. Bridges do no DMA of their own.
Result<unsigned> Vfio::check_group(PciAddress function) const {
  const auto group = tree_.group_of(function);
  if (!group || tree_.group_name(*group) == "vfio-noiommu") {
    return refused("IOMMU_OFF",
                   fmt::format("{} is in no IOMMU group: nothing would keep its DMA within the VM "
                               "(firmware: VT-d or AMD-Vi; kernel: intel_iommu=on)",
                               function));
  }
  for (const PciAddress& other : tree_.group_members(*group)) {
    if (other == function) continue;
    const auto read = tree_.read(other);
    if (!read) return pass(read);
    if (read->is_bridge() || read->driver.empty() || read->driver == kDriver) continue;
    return refused("GROUP_NOT_VIABLE",
                   fmt::format("{}: {} of the same IOMMU group {} belongs to the driver {}", function, other,
                               *group, read->driver));
  }
  return *group;
}

Task<void> Vfio::ensure_override(PciAddress function, std::string driver) {
  const auto file = tree_.device(function) / "driver_override";
  const std::string text = driver.empty() ? "\n" : driver;
  const auto written = co_await worker_.write(function, file, text, deadlines_.attribute);
  if (!written) co_return pass(written);
  const auto now = co_await read_override(function);
  if (!now) co_return pass(now);
  if (*now == driver) co_return Result<void>();
  co_return refused("OVERRIDE_DIFFERS",
                    fmt::format("{}: driver_override is '{}', not '{}'", function, *now, driver));
}

Task<std::string> Vfio::read_override(PciAddress function) {
  const auto text =
      co_await worker_.read(function, tree_.device(function) / "driver_override", 256, deadlines_.attribute);
  if (!text) co_return text;
  const std::string name = first_word(*text);
  co_return name == kUnsetOverride ? std::string() : name;
}

Task<void> Vfio::ensure_no_driver(PciAddress function) {
  const std::string driver = tree_.driver_of(function);
  if (driver.empty()) co_return Result<void>();
  const auto unbound =
      co_await worker_.write(function, tree_.driver(driver) / "unbind", function.str(), deadlines_.bind);
  // ENODEV: it had gone in between.
  if (!unbound && errno_of(unbound.error()) != ENODEV) co_return pass(unbound);
  const auto is_driverless = [this, function] { return tree_.driver_of(function).empty(); };
  const auto seen = co_await events_.wait_until(is_driverless, deadlines_.bind);
  if (seen) co_return seen;
  co_return not_confirmed(seen.error(), "UNBIND_REFUSED",
                          fmt::format("{} has the driver {} still", function, tree_.driver_of(function)));
}

// The kernel says yes to a probe that binds nothing, too.
Task<void> Vfio::probe(PciAddress function) {
  const auto probed =
      co_await worker_.write(function, tree_.drivers_probe(), function.str(), deadlines_.bind);
  const auto refusal = [&](const std::string& why) {
    return refused("BIND_REFUSED", fmt::format("{}: vfio-pci did not take it{}", function, why));
  };
  if (!probed && errno_of(probed.error()) == 0) co_return pass(probed);
  if (!probed) co_return refusal(": " + probed.error().message);
  if (tree_.driver_of(function) != kDriver) co_return refusal(" (the kernel's log says why)");
  co_return Result<void>();
}

Task<void> Vfio::unbind(PciAddress function) {
  if (!tree_.exists(function)) co_return Result<void>();
  if (tree_.driver_of(function) != kDriver) co_return Result<void>();
  const auto give_up = std::chrono::steady_clock::now() + deadlines_.group_released;
  while (true) {
    const auto held = co_await check_not_held(function);
    if (held) break;
    if (held.error().reason != "GROUP_HELD" || std::chrono::steady_clock::now() >= give_up) co_return held;
    const auto slept = co_await sleep_for(kHeldPoll);
    if (!slept) co_return slept;
  }
  co_return co_await ensure_no_driver(function);
}

// The kernel lets one process at a time open a group; so whoever can open it knows that nobody has it.
Task<void> Vfio::check_not_held(PciAddress function) {
  const auto group = tree_.group_of(function);
  if (!group || tree_.driver_of(function) != kDriver) co_return Result<void>();
  const auto opened = co_await worker_.try_open(function, node(*group), deadlines_.attribute);
  if (opened || errno_of(opened.error()) == ENOENT) co_return Result<void>();
  if (errno_of(opened.error()) != EBUSY) co_return opened;
  co_return refused("GROUP_HELD", fmt::format("{}: a process has {} open (fuser {})", function,
                                              node(*group).string(), node(*group).string()));
}

Task<std::string> Vfio::reset(PciAddress function) {
  if (!tree_.exists(function))
    co_return fail(Code::kNotFound, "PCI_DEVICE_UNKNOWN",
                   fmt::format("there is no PCI function {}", function));
  if (const std::string driver = tree_.driver_of(function); !driver.empty()) {
    const auto forced = co_await read_override(function);
    if (!forced) co_return forced;
    if (driver != kDriver && *forced != kDriver)
      co_return fmt::format("not needed: {} has it, and nobody took it", driver);
    co_return refused("STILL_BOUND", fmt::format("{} has the driver {}", function, driver));
  }
  auto method = co_await read_reset_method(function);
  if (!method) co_return method;
  const auto done = co_await worker_.write(function, tree_.device(function) / "reset", "1", deadlines_.reset);
  if (!done && errno_of(done.error()) == 0) co_return pass(done);
  if (!done)
    co_return refused("RESET_FAILED",
                      fmt::format("{}: {} reset: {}", function, *method, done.error().message));
  const auto alive = co_await check_alive(function);
  if (!alive) co_return pass(alive);
  co_return method;
}

// The one that the kernel tries first. "pm" leaves much of a device as it was: that is no wipe.
Task<std::string> Vfio::read_reset_method(PciAddress function) {
  constexpr std::array<std::string_view, 6> kWipes = {"flr",  "af_flr", "device_specific",
                                                      "acpi", "bus",    "cxl_bus"};
  const auto methods =
      co_await worker_.read(function, tree_.device(function) / "reset_method", 256, deadlines_.attribute);
  if (!methods && errno_of(methods.error()) != ENOENT) co_return methods;
  std::string first = methods ? first_word(*methods) : "";
  if (std::ranges::find(kWipes, first) != kWipes.end()) co_return first;
  co_return refused(
      "NO_RESET_METHOD",
      first.empty() ? fmt::format("{} cannot be reset on its own", function)
                    : fmt::format("{} can only be reset by '{}', which does not wipe it", function, first));
}

// All ones is what a dead device reads. Not of vendor and device: those of a VF are all ones anyway (SR-IOV
// 1.1, 3.4.1.1), so it is command and status, as the kernel itself does after a reset (pci_dev_wait()).
Task<void> Vfio::check_alive(PciAddress function) {
  constexpr std::size_t kCommand = 4;
  const auto config =
      co_await worker_.read(function, tree_.device(function) / "config", 2 * kCommand, deadlines_.attribute);
  if (!config) co_return pass(config);
  if (config->size() == 2 * kCommand && config->substr(kCommand) != "\xff\xff\xff\xff")
    co_return Result<void>();
  co_return refused("DEAD_AFTER_RESET", fmt::format("{} does not answer after its reset", function));
}

Task<void> Vfio::clear_override(PciAddress function) {
  const auto forced = co_await read_override(function);
  if (!forced) co_return pass(forced);
  if (*forced != kDriver) co_return Result<void>();
  co_return co_await ensure_override(function, "");
}

}  // namespace berth::host
