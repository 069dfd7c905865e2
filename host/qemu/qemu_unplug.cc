// The way out of a VM: the guest has to let go, and may not.
#include "host/qemu/qemu_plug.h"
#include "host/start_arguments.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace berth::host::qemu {
namespace {

namespace json = boost::json;

// QEMU's words for "asked before, not answered yet": hw/pci/pcie.c, hw/acpi/pcihp.c (10.0).
constexpr std::array<std::string_view, 2> kInProgress = {"already in the process of unplug", "guest is busy"};

bool is_about(const QmpEvent& event, const std::string& device) {
  const json::value* named = event.data.if_contains("device");
  return named != nullptr && named->is_string() && named->get_string() == device;
}

bool is_in_progress(const Error& error) {
  return std::ranges::any_of(kInProgress,
                             [&](std::string_view words) { return error.message.contains(words); });
}

}  // namespace

struct QemuPlug::Departure {
  enum class State : std::uint8_t { kGone, kThere, kLookAgain };
  State state = State::kThere;
  std::string detail = {};  // kGone
  // kThere: where the answer will come, and from which event on.
  std::shared_ptr<QmpConnection> connection = {};
  std::string device = {};
  std::uint64_t next_event = 0;
};

Task<QomItem> QemuPlug::find_device(QmpConnection& connection, std::string device_id) {
  VmTree tree(connection, settings_.answer_wait);
  const auto devices = co_await tree.list_devices();
  if (!devices) co_return pass(devices);
  for (const QomItem& device : *devices) {
    if (device.name == device_id || device.name == libvirt_id(device_id)) co_return device;
  }
  co_return QomItem{};
}

Task<std::string> QemuPlug::unplug(VmId vm, std::string device_id) {
  const auto monitor = monitor_of(vm);
  if (!monitor) co_return pass(monitor);
  const auto phrase = fmt::format("unplug {} from {}", device_id, vm);
  std::shared_ptr<QmpConnection> kept;
  for (unsigned asked = 0;; ++asked) {
    const bool is_last = asked == settings_.unplug_attempts;
    auto departure = co_await ask_to_leave(**monitor, device_id, is_last ? Intent::kLookOnly : Intent::kAsk);
    if (!departure) co_return pass(departure, phrase);
    if (departure->state == Departure::State::kGone) co_return departure->detail;
    if (is_last && departure->state == Departure::State::kThere) break;
    if (is_last)
      co_return fail(Code::kUnavailable, "VMM_HUNG_UP", phrase + ": the monitor hangs up every time");
    if (departure->state == Departure::State::kLookAgain) continue;
    kept = departure->connection;  // for the next look
    const auto waited = co_await await_change(*std::move(departure));
    if (!waited) co_return pass(waited, phrase);
  }
  co_return fail(
      Code::kDeadlineExceeded, "GUEST_IGNORES_UNPLUG",
      fmt::format("{}: the guest has not let go after {} requests, {} s each; only stopping the VM helps",
                  phrase, settings_.unplug_attempts,
                  static_cast<double>(settings_.unplug_wait.count()) / 1000.0));
}

// Looks, and asks when the device is still there. A VM of which nothing is heard has it still, as far as
// anybody knows; one that nobody runs has not.
Task<QemuPlug::Departure> QemuPlug::ask_to_leave(VmMonitor& monitor, std::string device_id, Intent intent) {
  const auto turn = co_await monitor.lock();
  if (!turn) co_return pass(turn);
  const auto connection = co_await monitor.connect(readers_, settings_.answer_wait);
  if (!connection && connection.error().reason == "VM_NOT_RUNNING")
    co_return Departure{.state = Departure::State::kGone, .detail = "the VM does not run"};
  const auto unheard = [](const Error& error) -> Result<Departure> {
    if (error.reason == "VMM_HUNG_UP") return Departure{.state = Departure::State::kLookAgain};
    return std::unexpected(error);
  };
  if (!connection) co_return unheard(connection.error());
  Departure departure{.connection = *connection, .next_event = (*connection)->event_end()};
  const auto found = co_await find_device(**connection, device_id);
  if (!found) co_return unheard(found.error());
  if (found->name.empty()) {
    const auto removed = co_await remove_backends(**connection, device_id);
    if (!removed) co_return unheard(removed.error());
    co_return Departure{.state = Departure::State::kGone,
                        .detail = fmt::format("the VM has no {}", device_id)};
  }
  if (intent == Intent::kLookOnly) co_return departure;
  departure.device = found->name;
  const auto answer =
      co_await (*connection)->execute("device_del", {{"id", found->name}}, settings_.answer_wait);
  if (answer || is_in_progress(answer.error())) co_return departure;
  if (answer.error().code == Code::kNotFound) co_return Departure{.state = Departure::State::kLookAgain};
  if ((*connection)->is_closed()) co_return unheard(answer.error());
  co_return fail(Code::kFailedPrecondition, "UNPLUG_REFUSED",
                 fmt::format("QEMU refuses: {}", answer.error().message));
}

// Until QEMU tells that the device is gone or hangs up, or the guest's time is over. A guest that says no
// (DEVICE_UNPLUG_GUEST_ERROR) is asked again when its time is over: it may be in the middle of its boot.
Task<void> QemuPlug::await_change(Departure departure) {
  QmpConnection& connection = *departure.connection;
  const auto until = std::chrono::steady_clock::now() + settings_.unplug_wait;
  while (!connection.is_closed()) {
    for (; departure.next_event < connection.event_end(); ++departure.next_event) {
      const QmpEvent* event = connection.find_event(departure.next_event);
      if (event != nullptr && event->name == "DEVICE_DELETED" && is_about(*event, departure.device))
        co_return Result<void>();
    }
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= std::chrono::steady_clock::duration::zero()) co_return Result<void>();
    const auto woken = co_await with_deadline(left, connection.changed().wait());
    if (!woken && woken.error().code != Code::kDeadlineExceeded) co_return pass(woken);
  }
  co_return Result<void>();
}

}  // namespace berth::host::qemu
