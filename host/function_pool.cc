#include "host/function_pool.h"

#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace berth::host {

FunctionPool::FunctionPool(std::vector<Function> functions) {
  for (Function& function : functions) slots_.push_back({.function = std::move(function)});
  for (const Slot& slot : slots_) add_free(slot);
}

Result<Function> FunctionPool::lease() {
  if (const auto room = check_free(1); !room) return std::unexpected(room.error());
  Slot& best = slots_[std::get<2>(*free_.begin())];
  take(best);
  return best.function;
}

Result<void> FunctionPool::check_free(std::size_t needed) const {
  if (needed <= free_.size()) return {};
  const std::size_t quarantined_count = quarantined().size();
  const std::size_t leased_count = slots_.size() - free_.size() - quarantined_count;
  Error error{.code = Code::kResourceExhausted,
              .message = fmt::format("{} needed, {} of {} functions are free: {} leased, {} quarantined",
                                     needed, free_.size(), slots_.size(), leased_count, quarantined_count),
              .reason = "NO_FREE_FUNCTION"};
  error.metadata = {{"needed", std::to_string(needed)},
                    {"free", std::to_string(free_.size())},
                    {"total", std::to_string(slots_.size())}};
  return std::unexpected(std::move(error));
}

Result<Function> FunctionPool::lease(std::uint16_t index) {
  if (index >= slots_.size()) {
    return fail(Code::kNotFound, "FUNCTION_UNKNOWN",
                fmt::format("vf{}: this eSwitch has {} functions", index, slots_.size()));
  }
  Slot& slot = slots_[index];
  if (slot.state != State::kFree)
    return fail(Code::kAlreadyExists, "FUNCTION_TAKEN", fmt::format("vf{} is taken", index));
  take(slot);
  return slot.function;
}

std::vector<FunctionPool::FreeVfs> FunctionPool::free_vfs() const {
  std::vector<FreeVfs> all;
  for (const auto& [pf, free] : free_of_pf_)
    all.push_back({.pf = pf, .count = free.size(), .next = std::get<2>(*free.begin())});
  return all;
}

void FunctionPool::release(std::uint16_t index) {
  assert(slots_.at(index).state == State::kLeased);
  free_slot(slots_.at(index));
}

void FunctionPool::quarantine(std::uint16_t index) {
  assert(slots_.at(index).state == State::kLeased);
  slots_.at(index).state = State::kQuarantined;
}

void FunctionPool::lift_quarantine(std::uint16_t index) {
  assert(slots_.at(index).state == State::kQuarantined);
  free_slot(slots_.at(index));
}

void FunctionPool::set_generation(std::uint16_t index, std::uint64_t generation) {
  if (index < slots_.size()) slots_[index].function.generation = generation;
}

std::vector<std::uint16_t> FunctionPool::quarantined() const {
  std::vector<std::uint16_t> found;
  for (const Slot& slot : slots_) {
    if (slot.state == State::kQuarantined) found.push_back(slot.function.index);
  }
  return found;
}

void FunctionPool::take(Slot& slot) {
  free_.erase(rank(slot));
  if (const auto pf = slot.function.pf) {
    const auto free = free_of_pf_.find(*pf);
    free->second.erase(rank(slot));
    if (free->second.empty()) free_of_pf_.erase(free);
  }
  slot.state = State::kLeased;
}

void FunctionPool::free_slot(Slot& slot) {
  slot.state = State::kFree;
  slot.freed_at = ++releases_;
  add_free(slot);
  ++slot.function.generation;
}

void FunctionPool::add_free(const Slot& slot) {
  free_.insert(rank(slot));
  if (const auto pf = slot.function.pf) free_of_pf_[*pf].insert(rank(slot));
}

}  // namespace berth::host
