#include "dataplane/soft/flow_cache.h"

#include <algorithm>
#include <bit>
#include <new>

namespace berth::soft {

FlowCache::FlowCache(std::uint32_t flows) {
  const std::uint64_t count = std::bit_ceil(std::max<std::uint64_t>(flows / kWays, 1));
  memory_ = allocate_pages(count * sizeof(Set));
  // Fresh pages are zero, and no stamp is: no way holds anything yet.
  sets_ = reinterpret_cast<Set*>(memory_.get());
  last_ = count - 1;
}

void FlowCache::remember(const Lookup& lookup, std::size_t words, CacheStamp stamp, const FlowPath& path) {
  Set& set = set_of(lookup.hash);
  // The same flow's old way, else one of older rules, else any.
  std::size_t chosen = next_victim_++ % kWays;
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set.ways[way].stamp != stamp) chosen = way;
  }
  for (std::size_t way = 0; way < kWays; ++way) {
    if (set.ways[way].tag == tag_of(lookup.hash)) chosen = way;
  }
  set.ways[chosen] = {.tag = tag_of(lookup.hash), .stamp = stamp};
  set.entries[chosen].path = path;
  std::copy_n(lookup.key.begin(), words, set.entries[chosen].key.begin());
}

}  // namespace berth::soft
