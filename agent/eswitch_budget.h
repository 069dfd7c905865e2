// Room in the eSwitch: what it may hold, what it holds, and what accepted attaches will still add.
#pragma once

#include "base/error.h"
#include "dataplane/table_use.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {

using dataplane::TableUse;

class EswitchBudget {
 public:
  // Room that is kept free for one attach, as long as it lives.
  class [[nodiscard]] Reservation {
   public:
    Reservation(std::shared_ptr<TableUse> reserved, TableUse use)
        : reserved_(std::move(reserved)), use_(use) {
      *reserved_ += use_;
    }
    Reservation(Reservation&&) noexcept = default;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (reserved_ != nullptr) *reserved_ -= use_;
    }

   private:
    std::shared_ptr<TableUse> reserved_;
    TableUse use_;
  };

  // 0: as many as the eSwitch takes.
  explicit EswitchBudget(TableUse total) : total_(total) {}

  const TableUse& total() const { return total_; }
  TableUse free_beside(TableUse held) const {
    held += *reserved_;
    return {.rules = left(total_.rules, held.rules),
            .counters = left(total_.counters, held.counters),
            .meters = left(total_.meters, held.meters)};
  }

  // RESOURCE_EXHAUSTED (RULES_EXHAUSTED, COUNTERS_EXHAUSTED, METERS_EXHAUSTED), with the numbers.
  Result<Reservation> reserve(TableUse needed, const TableUse& held) {
    const TableUse free = free_beside(held);
    if (is_short(total_.rules, free.rules, needed.rules))
      return exhausted("rules", "RULES_EXHAUSTED", needed.rules, free.rules, total_.rules);
    if (is_short(total_.counters, free.counters, needed.counters))
      return exhausted("counters", "COUNTERS_EXHAUSTED", needed.counters, free.counters, total_.counters);
    if (is_short(total_.meters, free.meters, needed.meters))
      return exhausted("meters", "METERS_EXHAUSTED", needed.meters, free.meters, total_.meters);
    return Reservation(reserved_, needed);
  }

 private:
  static std::size_t left(std::size_t total, std::size_t used) { return used < total ? total - used : 0; }
  static bool is_short(std::size_t total, std::size_t free, std::size_t needed) {
    return total != 0 && needed > free;
  }
  static std::unexpected<Error> exhausted(std::string_view what, std::string reason, std::size_t needed,
                                          std::size_t free, std::size_t total) {
    Error error{.code = Code::kResourceExhausted,
                .message = fmt::format("{} {} are needed, and {} of {} are free", needed, what, free, total),
                .reason = std::move(reason)};
    error.metadata = {
        {"needed", std::to_string(needed)}, {"free", std::to_string(free)}, {"total", std::to_string(total)}};
    return std::unexpected(std::move(error));
  }

  TableUse total_;
  std::shared_ptr<TableUse> reserved_ = std::make_shared<TableUse>();
};

}  // namespace berth::agent
