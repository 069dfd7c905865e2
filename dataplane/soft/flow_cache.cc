#include "dataplane/soft/flow_cache.h"

#include <algorithm>
#include <bit>
#include <new>

namespace berth::soft {
namespace {

constexpr std::uint64_t kFirstSets = 64;

std::uint64_t flags_of(const FlowPath& path) {
  std::uint64_t flags = path.is_miss ? Flow::kIsMiss : 0;
  bool is_simple = true;
  for (std::size_t i = 0; i < path.count; ++i) {
    const Rule& rule = *path.rules[i];
    const bool is_last = i + 1U == path.count;
    is_simple = is_simple && rule.has_extra == 0 && (is_last || rule.count);
    if (rule.decap) flags |= Flow::kDecaps;
    if (rule.writes_packet != 0) {
      flags |= Flow::kWrites;
      is_simple = is_simple && is_last;
    }
  }
  constexpr std::uint64_t kBoth = Flow::kDecaps | Flow::kWrites;
  if (is_simple && (flags & kBoth) != kBoth) flags |= Flow::kIsSimple;
  const Rule& last = *path.rules[path.count - 1U];
  const bool encapsulates = last.fate == Fate::kPort && last.target.encap != nullptr;
  if (flags == (Flow::kIsSimple | Flow::kWrites) && encapsulates && path.count <= Flow::kFirstRules + 1 &&
      last.count && last.only_destination_mac() != nullptr) {
    flags |= Flow::kIsMapping;
  }
  return flags;
}

}  // namespace

FlowCache::FlowCache(std::uint32_t flows)
    : most_sets_(std::bit_ceil(std::max<std::uint64_t>(flows / kWays, 1))) {
  // Fresh pages are zero: no tag is, so no way holds anything yet.
  index_memory_ = allocate_pages(most_sets_ * sizeof(Tags));
  flow_memory_ = allocate_pages(most_sets_ * kWays * sizeof(Flow));
  places_ = {.index = reinterpret_cast<Tags*>(index_memory_.get()),
             .flows = reinterpret_cast<Flow*>(flow_memory_.get()),
             .last = std::min(kFirstSets, most_sets_) - 1};
}

bool FlowCache::find_other(Lookup& lookup, std::uint64_t stamp) const {
  if (lookup.blocks == 0) return false;
  const std::uint64_t set = lookup.hash & places_.last;
  for (std::size_t way = 0; way < kWays; ++way) {
    if (places_.index[set].way[way] != tag_of(lookup.hash)) continue;
    lookup.flow = &places_.flows[set * kWays + way];
    if (is_known(lookup, stamp)) return true;
  }
  return false;
}

// The same flow's old place, else a free one, else any.
std::size_t FlowCache::victim(Lookup& lookup, std::uint64_t stamp) {
  const std::uint64_t set = lookup.hash & places_.last;
  const Flow* flows = places_.flows + set * kWays;
  if (find_other(lookup, stamp)) return static_cast<std::size_t>(lookup.flow - flows);
  for (std::size_t way = 0; way < kWays; ++way) {
    if (places_.index[set].way[way] == 0) return way;
  }
  ++crowded_;
  return next_victim_++ % kWays;
}

// Half of the flows have another set from now on, and are found anew; where they were they are other flows'
// victims by and by.
void FlowCache::grow() {
  places_.last = places_.last * 2 + 1;
  crowded_ = 0;
}

void FlowCache::remember(Lookup& lookup, std::uint64_t stamp, const FlowPath& path) {
  const std::uint64_t sets = places_.last + 1;
  if (crowded_ > sets / 8 && sets < most_sets_) grow();
  const std::uint64_t set = lookup.hash & places_.last;
  const std::size_t way = victim(lookup, stamp);
  places_.index[set].way[way] = tag_of(lookup.hash);
  Flow& flow = places_.flows[set * kWays + way];
  flow.head = stamp | flags_of(path) | path.count;
  flow.last = path.rules[path.count - 1U];
  for (std::size_t i = 0; i + 1 < FlowPath::kMaxRules; ++i) {
    Rule*& place = i < Flow::kFirstRules ? flow.first[i] : flow.others[i - Flow::kFirstRules];
    place = i + 1 < path.count ? path.rules[i] : nullptr;
  }
  std::copy_n(lookup.key.begin(), lookup.blocks * KeyPlan::kBlock, flow.key.begin());
}

}  // namespace berth::soft
