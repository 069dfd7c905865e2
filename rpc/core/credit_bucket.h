// A bucket of credits that fills with time (and by hand, for useful work) and is emptied by frames
// that cost their sender nothing. An empty bucket is a flood.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace berth::rpc::core {

class CreditBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  CreditBucket(std::uint32_t burst, std::uint32_t per_second, Time now)
      : burst_(burst), per_second_(per_second), credits_(burst), filled_at_(now) {}

  // False when the bucket does not hold `credits`; it is then empty.
  bool take(std::uint32_t credits, Time now) {
    const double seconds = std::chrono::duration<double>(now - filled_at_).count();
    if (seconds > 0) {
      add(seconds * per_second_);
      filled_at_ = now;
    }
    if (credits_ < credits) {
      credits_ = 0;
      return false;
    }
    credits_ -= credits;
    return true;
  }
  void add(double credits) { credits_ = std::min(credits_ + credits, burst_); }

 private:
  double burst_;
  double per_second_;
  double credits_;
  Time filled_at_;
};

}  // namespace berth::rpc::core
