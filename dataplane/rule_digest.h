// A short value that stands for a set of rules: whoever compiles rules and whoever holds them can compare
// a hundred thousand without sending them. Does not depend on their order, finds every accident, and is no
// defence against somebody who makes rules in order to deceive.
#pragma once

#include "dataplane/rule.h"

#include <compare>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace berth::dataplane {

// Grows when the same rules get another digest.
constexpr std::uint32_t kDigestMethod = 1;

// Of the rules of one owner in one group: the sum, modulo 2^64 each, of two hashes of every rule's key and
// actions. Purposes are not in it: they are names.
struct RuleDigest {
  EswitchPort owner;
  std::uint16_t group = 0;
  std::uint64_t count = 0;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const RuleDigest&) const = default;
};

class RuleDigests {
 public:
  void add(const Rule& rule);
  // Ordered by owner and group; only those that have rules.
  std::vector<RuleDigest> list() const;

 private:
  std::map<std::pair<EswitchPort, std::uint16_t>, RuleDigest> by_place_;
};

}  // namespace berth::dataplane
