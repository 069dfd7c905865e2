// Which groups jump to which, to keep the longest chain of jumps within the profile's six (HP-03).
// Jumps only go to larger groups, so the graph has no cycle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace berth::soft {

class JumpGraph {
 public:
  static constexpr std::uint32_t kMaxDepth = 6;

  // False, and nothing added, when some chain would get longer than kMaxDepth jumps.
  bool add(std::uint32_t from, std::uint32_t to) {
    std::uint32_t& count = jumps_[from][to];
    if (++count > 1 || above(from) + 1 + below(to) <= kMaxDepth) return true;
    remove(from, to);
    return false;
  }

  void remove(std::uint32_t from, std::uint32_t to) {
    auto& targets = jumps_.at(from);
    if (--targets.at(to) == 0) targets.erase(to);
    if (targets.empty()) jumps_.erase(from);
  }

 private:
  // Longest chain that ends, or begins, at `group`.
  std::uint32_t above(std::uint32_t group) const {
    std::uint32_t longest = 0;
    for (const auto& [from, targets] : jumps_) {
      if (from < group && targets.contains(group)) longest = std::max(longest, above(from) + 1);
    }
    return longest;
  }
  std::uint32_t below(std::uint32_t group) const {
    const auto found = jumps_.find(group);
    if (found == jumps_.end()) return 0;
    std::uint32_t longest = 0;
    for (const auto& [to, count] : found->second) longest = std::max(longest, below(to) + 1);
    return longest;
  }

  std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>> jumps_;  // from -> to -> rules
};

}  // namespace berth::soft
