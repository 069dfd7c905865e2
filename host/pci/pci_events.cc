#include "host/pci/pci_events.h"

#include <algorithm>

namespace berth::host {
namespace {

constexpr std::size_t kKept = 1024;  // a PF with its 255 VFs, added and bound, and as many again

}  // namespace

void PciEvents::take(const Uevent& event) {
  if (!event.function) return;
  heard_.push_back({.number = ++heard_count_, .action = event.action, .function = *event.function});
  if (heard_.size() > kKept) heard_.pop_front();
  changed_.notify_all();
}

bool PciEvents::has_heard(std::uint64_t since, Uevent::Action action, PciAddress function) const {
  return std::ranges::any_of(heard_, [&](const Heard& heard) {
    return heard.number > since && heard.action == action && heard.function == function;
  });
}

Task<void> PciEvents::wait_until(std::function<bool()> is_so, std::chrono::milliseconds deadline) {
  const auto give_up = std::chrono::steady_clock::now() + deadline;
  while (!is_so()) {
    const auto left = give_up - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0))
      co_return fail(Code::kDeadlineExceeded, "NOT_SEEN_IN_TIME",
                     fmt::format("it did not come true within {} ms", deadline.count()));
    const auto woken =
        co_await with_deadline(std::min<std::chrono::nanoseconds>(left, poll_interval_), changed_.wait());
    if (!woken && woken.error().code != Code::kDeadlineExceeded) co_return pass(woken);
  }
  co_return Result<void>();
}

}  // namespace berth::host
