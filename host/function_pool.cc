#include "host/function_pool.h"

#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace berth::host {

FunctionPool::FunctionPool(std::vector<Function> functions) {
  for (Function& function : functions) slots_.push_back({.function = std::move(function)});
  for (const Slot& slot : slots_) free_.insert(rank(slot));
}

Result<Function> FunctionPool::lease() {
  if (free_.empty()) {
    const std::size_t quarantined_count = quarantined().size();
    return fail(Code::kResourceExhausted, "NO_FREE_FUNCTION",
                fmt::format("all {} functions are in use: {} leased, {} quarantined", slots_.size(),
                            slots_.size() - quarantined_count, quarantined_count));
  }
  Slot& best = slots_[std::get<2>(*free_.begin())];
  take(best);
  return best.function;
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
  slot.state = State::kLeased;
}

void FunctionPool::free_slot(Slot& slot) {
  slot.state = State::kFree;
  slot.freed_at = ++releases_;
  free_.insert(rank(slot));
  ++slot.function.generation;
}

}  // namespace berth::host
