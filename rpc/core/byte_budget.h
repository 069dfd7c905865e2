// A counted amount of memory that several streams share. Taking fails when it would not fit.
#pragma once

#include <cassert>
#include <cstddef>

namespace berth::rpc::core {

class ByteBudget {
 public:
  explicit ByteBudget(std::size_t limit) : limit_(limit) {}

  bool take(std::size_t bytes) {
    if (bytes > limit_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void give_back(std::size_t bytes) {
    assert(bytes <= used_);
    used_ -= bytes;
  }
  std::size_t used() const { return used_; }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
};

}  // namespace berth::rpc::core
