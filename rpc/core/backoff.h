// How long a client waits before it tries to connect again: doubling from the first delay to the
// longest, each spread by a fifth either way, so that a thousand agents do not come back together.
#pragma once

#include <algorithm>
#include <chrono>

namespace berth::rpc::core {

class Backoff {
 public:
  using Delay = std::chrono::milliseconds;
  Backoff(Delay first, Delay longest) : first_(first), longest_(longest), next_(first) {}

  // `jitter` in [0, 1).
  Delay next(double jitter) {
    const double spread = 0.8 + 0.4 * jitter;
    const Delay delay(static_cast<Delay::rep>(static_cast<double>(next_.count()) * spread));
    next_ = std::min(next_ * 2, longest_);
    return delay;
  }
  // After a connection that worked.
  void reset() { next_ = first_; }

 private:
  Delay first_;
  Delay longest_;
  Delay next_;
};

}  // namespace berth::rpc::core
