// Which VF of which PF a function of the eSwitch is. The functions are the first VFs of each PF, in the order
// in which the configuration names them: with two PFs and six functions vf0 to vf2 are VFs 0 to 2 of the
// first one. So a PF that is added at the end, with its share of functions, moves nobody's. Pure.
#pragma once

#include "base/error.h"
#include "host/pci_address.h"

#include <compare>
#include <cstdint>
#include <set>
#include <vector>

namespace berth::host {

struct VfPlace {
  PciAddress pf;
  std::uint16_t vf = 0;  // as in virtfn<vf> of sysfs
  auto operator<=>(const VfPlace&) const = default;
};

class VfPool {
 public:
  // `share`: functions of each PF, at least one.
  VfPool(std::vector<PciAddress> pfs, std::uint16_t share) : pfs_(std::move(pfs)), share_(share) {}

  // FAILED_PRECONDITION (VFS_LOST): no PF has a function of this number.
  Result<VfPlace> place_of(std::uint16_t function) const;
  // Of these functions those of one PF, by their numbers there.
  std::set<std::uint16_t> vfs_of(PciAddress pf, const std::set<std::uint16_t>& functions) const;
  const std::vector<PciAddress>& pfs() const { return pfs_; }

 private:
  std::vector<PciAddress> pfs_;
  std::uint16_t share_;
};

}  // namespace berth::host
