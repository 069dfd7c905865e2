#include "host/vf_pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::host {

Result<VfPlace> VfPool::place_of(std::uint16_t function) const {
  const std::size_t number = function / share_;
  if (number < pfs_.size())
    return VfPlace{.pf = pfs_[number], .vf = static_cast<std::uint16_t>(function % share_)};
  return fail(Code::kFailedPrecondition, "VFS_LOST",
              fmt::format("vf{} is of none of {}", function, fmt::join(pfs_, " ")));
}

std::set<std::uint16_t> VfPool::vfs_of(PciAddress pf, const std::set<std::uint16_t>& functions) const {
  std::set<std::uint16_t> vfs;
  for (const std::uint16_t function : functions) {
    const auto place = place_of(function);
    if (place && place->pf == pf) vfs.insert(place->vf);
  }
  return vfs;
}

}  // namespace berth::host
