// What the kernel has told about PCI functions lately. A uevent is a reason to look again, never a proof: it
// may be lost (the socket's buffer overruns), late, or about something that has changed again since. So
// whoever waits names what must be so in sysfs, and is woken to look by every uevent and by a clock.
//
// Single-threaded. UeventListener feeds it; so do the tests.
#pragma once

#include "base/signal.h"
#include "base/task.h"
#include "host/pci/uevent.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>

namespace berth::host {

class PciEvents {
 public:
  explicit PciEvents(asio::any_io_executor executor,
                     std::chrono::milliseconds poll_interval = std::chrono::milliseconds(200))
      : poll_interval_(poll_interval), changed_(std::move(executor)) {}

  void take(const Uevent& event);
  // Some were lost, nobody knows which: everybody looks again.
  void take_overrun() { changed_.notify_all(); }

  // How many have been heard; a place in time for has_heard().
  std::uint64_t now() const { return heard_count_; }
  // Whether this was told after `since`; the oldest of very many are forgotten.
  bool has_heard(std::uint64_t since, Uevent::Action action, PciAddress function) const;

  // Returns when `is_so` holds. DEADLINE_EXCEEDED (NOT_SEEN_IN_TIME) when it does not until then.
  // LIFETIME: what `is_so` captures outlives the call.
  Task<void> wait_until(std::function<bool()> is_so, std::chrono::milliseconds deadline);

 private:
  struct Heard {
    std::uint64_t number;
    Uevent::Action action;
    PciAddress function;
  };
  std::chrono::milliseconds poll_interval_;
  Signal changed_;
  std::deque<Heard> heard_;  // the latest, oldest first
  std::uint64_t heard_count_ = 0;
};

}  // namespace berth::host
