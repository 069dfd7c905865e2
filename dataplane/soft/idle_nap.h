// Lets the worker sleep when no packet has come for a while, so that an idle host does not burn a core.
// Off unless the device's `idle_nap=` says how long: a service core that others share must not sleep.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace berth::soft {

class IdleNap {
 public:
  explicit IdleNap(std::uint32_t microseconds) : nap_(microseconds) {}

  // After each round of the worker.
  void after_round(bool was_idle) {
    idle_rounds_ = was_idle ? idle_rounds_ + 1 : 0;
    if (nap_.count() == 0 || idle_rounds_ < kRoundsBeforeNap) return;
    std::this_thread::sleep_for(nap_);
  }

 private:
  // Some tens of microseconds of polling: a ping-pong partner's answer comes within that time.
  static constexpr std::uint32_t kRoundsBeforeNap = 256;

  std::chrono::microseconds nap_;
  std::uint32_t idle_rounds_ = 0;
};

}  // namespace berth::soft
