// A VPC's mappings by address, so that whoever asks for one does not look at the others.
#pragma once

#include "dataplane/vpc.h"

#include <span>
#include <vector>

namespace berth::dataplane {

class MappingIndex {
 public:
  // LIFETIME: `vpc` lives as long as this and does not change.
  explicit MappingIndex(const Vpc& vpc);

  // Those that have one of `ips`, or `mac`.
  std::vector<Mapping> find(std::span<const IpAddress> ips, const MacAddress& mac) const;

 private:
  std::vector<const Mapping*> by_ip_;
  std::vector<const Mapping*> by_mac_;
};

}  // namespace berth::dataplane
