#include "dataplane/mapping_index.h"

#include <algorithm>

namespace berth::dataplane {

MappingIndex::MappingIndex(const Vpc& vpc) {
  for (const Mapping& mapping : vpc.mappings) by_ip_.push_back(&mapping);
  by_mac_ = by_ip_;
  std::ranges::sort(by_ip_, {}, &Mapping::ip);
  std::ranges::sort(by_mac_, {}, &Mapping::mac);
}

std::vector<Mapping> MappingIndex::find(std::span<const IpAddress> ips, const MacAddress& mac) const {
  std::vector<Mapping> found;
  for (const IpAddress& ip : ips) {
    for (const Mapping* mapping : std::ranges::equal_range(by_ip_, ip, {}, &Mapping::ip))
      found.push_back(*mapping);
  }
  for (const Mapping* mapping : std::ranges::equal_range(by_mac_, mac, {}, &Mapping::mac))
    found.push_back(*mapping);
  return found;
}

}  // namespace berth::dataplane
