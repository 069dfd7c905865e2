#include "host/hotplug/pool_provider.h"

#include <fmt/format.h>

namespace berth::host {

Task<Exposed> PoolProvider::expose(PrepareArgs args) {
  const auto vf = locate(args.function);
  if (!vf) co_return pass(vf);
  co_return Exposed{vf->address, fmt::format("{} of the pool of {}", vf->address, vf->pf)};
}

Task<std::optional<PciAddress>> PoolProvider::find(Function function) {
  const auto vf = locate(function);
  if (!vf) co_return pass(vf);
  co_return vf->address;
}

Task<std::string> PoolProvider::withdraw(Function function) {
  const auto vf = locate(function);
  if (!vf) co_return pass(vf);
  co_return fmt::format("{} stays in the pool of {}", vf->address, vf->pf);
}

// A VF that is not there is an error and not "nowhere": nobody can say what became of its state.
Result<PoolProvider::Located> PoolProvider::locate(const Function& function) const {
  const auto place = pool_.place_of(function.index);
  if (!place) return pass(place);
  const auto& [pf, vf] = *place;
  const auto vfs = tree_.vfs_of(pf);
  if (vf >= vfs.size() || tree_.physical_of(vfs[vf]) != pf)
    return fail(Code::kFailedPrecondition, "VFS_LOST", fmt::format("{} has no VF {}", pf, vf));
  const PciAddress address = vfs[vf];
  if (function.address && *function.address != address) {
    return fail(Code::kFailedPrecondition, "FUNCTION_MOVED",
                fmt::format("VF {} of {} is {} now and was {} when it was leased", vf, pf, address,
                            *function.address));
  }
  return Located{address, pf};
}

}  // namespace berth::host
