// For events of which anybody can cause as many as he likes: the first is told at once, those that follow
// soon only by their number, with the next one that is told. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

namespace berth {

class LogLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `pause`: between two that are told.
  explicit LogLimit(std::chrono::milliseconds pause) : pause_(pause) {}

  // To be told: how many were not since the last one. Nothing: this is not, either.
  std::optional<std::size_t> tell(Time now) {
    if (last_ && now - *last_ < pause_) {
      ++untold_;
      return std::nullopt;
    }
    last_ = now;
    return std::exchange(untold_, 0);
  }

 private:
  std::chrono::milliseconds pause_;
  std::optional<Time> last_;
  std::size_t untold_ = 0;
};

}  // namespace berth
