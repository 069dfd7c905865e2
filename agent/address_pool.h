// Addresses that this host may hand out by itself: those of its blocks (dataplane::Subnet::host_blocks),
// which nobody else hands out. An address that was freed comes again after all that were never used, and
// after those that were freed before it: a neighbour that remembers its last owner has time to forget him.
#pragma once

#include "base/error.h"
#include "dataplane/vpc.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace berth::agent {

struct FreedAddress {
  VpcId vpc;
  IpAddress ip;
  auto operator<=>(const FreedAddress&) const = default;
};

class AddressPool {
 public:
  // So many freed addresses are remembered, on the disk, too; one that is forgotten counts as never used.
  static constexpr std::size_t kMaxFreed = 10'000;

  // In the order in which they were freed; the last time counts.
  void note_freed(const FreedAddress& freed);

  // An address of the subnet's blocks that `is_taken` does not name; nothing when all are taken. Costs as
  // much as there are addresses taken and freed, and not as the blocks are large.
  std::optional<IpAddress> choose(const VpcId& vpc, const dataplane::Subnet& subnet,
                                  const std::function<bool(const IpAddress&)>& is_taken) const;

 private:
  std::map<FreedAddress, std::uint64_t> freed_;  // when: a number that grows
  std::map<std::uint64_t, FreedAddress> by_age_;
  std::uint64_t next_ = 1;
};

// How many addresses there are in the subnet's blocks that a VM may have; 2^64 - 1 for that many and more.
std::uint64_t count_in_blocks(const dataplane::Subnet& subnet);
// True when the VPC's blocks hold it.
bool is_in_blocks(const dataplane::Vpc& vpc, const IpAddress& ip);

}  // namespace berth::agent
