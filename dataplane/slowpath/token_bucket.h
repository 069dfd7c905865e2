// A rate in events per second with a burst, in integer arithmetic on the caller's clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace berth::dataplane::slowpath {

using Time = std::chrono::steady_clock::time_point;

struct RateLimit {
  std::uint32_t per_second = 100;  // 1 to 1,000,000
  std::uint32_t burst = 100;       // at least 1
};

class TokenBucket {
 public:
  // Full at `now`.
  TokenBucket(RateLimit limit, Time now)
      : cost_(std::chrono::nanoseconds(std::chrono::seconds(1)) / std::max(limit.per_second, 1U)),
        full_(cost_ * std::max(limit.burst, 1U)),
        credit_(full_),
        last_(now) {}

  // Takes one event's worth; false when there is none. Time that goes backwards earns nothing.
  bool take(Time now) {
    if (now > last_) {
      credit_ = std::min(full_, now - last_ > full_ ? full_ : credit_ + (now - last_));
      last_ = now;
    }
    if (credit_ < cost_) return false;
    credit_ -= cost_;
    return true;
  }

 private:
  std::chrono::nanoseconds cost_;
  std::chrono::nanoseconds full_;
  std::chrono::nanoseconds credit_;  // time that is paid for
  Time last_;
};

}  // namespace berth::dataplane::slowpath
