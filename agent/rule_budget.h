// Room for rules: what the eSwitch may hold, what it holds, and what accepted attaches will still add.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {

class RuleBudget {
 public:
  // Room that is kept free for one attach, as long as it lives.
  class [[nodiscard]] Reservation {
   public:
    Reservation(std::shared_ptr<std::size_t> reserved, std::size_t count)
        : reserved_(std::move(reserved)), count_(count) {
      *reserved_ += count_;
    }
    Reservation(Reservation&&) noexcept = default;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (reserved_ != nullptr) *reserved_ -= count_;
    }

   private:
    std::shared_ptr<std::size_t> reserved_;
    std::size_t count_;
  };

  // 0: as many as the eSwitch takes.
  explicit RuleBudget(std::size_t total) : total_(total) {}

  std::size_t total() const { return total_; }
  std::size_t free_beside(std::size_t held) const {
    const std::size_t used = held + *reserved_;
    return used < total_ ? total_ - used : 0;
  }

  // RESOURCE_EXHAUSTED (RULES_EXHAUSTED), with the numbers.
  Result<Reservation> reserve(std::size_t needed, std::size_t held) {
    const std::size_t free = free_beside(held);
    if (total_ == 0 || needed <= free) return Reservation(reserved_, needed);
    Error error{.code = Code::kResourceExhausted,
                .message = fmt::format("{} rules are needed, and {} of {} are free", needed, free, total_),
                .reason = "RULES_EXHAUSTED"};
    error.metadata = {{"needed", std::to_string(needed)},
                      {"free", std::to_string(free)},
                      {"total", std::to_string(total_)}};
    return std::unexpected(std::move(error));
  }

 private:
  std::size_t total_;
  std::shared_ptr<std::size_t> reserved_ = std::make_shared<std::size_t>(0);
};

}  // namespace berth::agent
