#include "dataplane/soft/group.h"

#include <algorithm>
#include <bit>

namespace berth::soft {
namespace {

int masked_bits(const RuleTable& table) {
  int bits = 0;
  for (std::uint64_t word : table.mask().mask) bits += std::popcount(word);
  return bits;
}

template <typename T>
void delete_object(void* /*context*/, void* object, std::size_t /*size*/) {
  delete static_cast<T*>(object);
}

}  // namespace

RuleTable* Group::table(std::uint32_t priority, const MaskWords& mask) const {
  for (RuleTable* table : tables_) {
    if (table->priority() == priority && table->mask() == mask) return table;
  }
  return nullptr;
}

void Group::add(std::unique_ptr<RuleTable> table, Grace& grace) {
  const auto before = [](const RuleTable* a, const RuleTable* b) {
    if (a->priority() != b->priority()) return a->priority() < b->priority();
    return masked_bits(*a) > masked_bits(*b);
  };
  const auto at = std::ranges::upper_bound(tables_, table.get(), before);
  tables_.insert(at, table.release());
  publish(grace);
}

void Group::remove(const RuleTable* table, Grace& grace) {
  const auto at = std::ranges::find(tables_, table);
  RuleTable* removed = *at;
  tables_.erase(at);
  publish(grace);
  grace.retire(&delete_object<RuleTable>, nullptr, removed, 0);
}

void Group::publish(Grace& grace) {
  const List* fresh = new List(tables_.begin(), tables_.end());
  const List* old = published_.exchange(fresh, std::memory_order_acq_rel);
  if (old != nullptr) grace.retire(&delete_object<const List>, nullptr, const_cast<List*>(old), 0);
}

}  // namespace berth::soft
