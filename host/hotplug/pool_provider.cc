#include "host/hotplug/pool_provider.h"

#include <fmt/format.h>

namespace berth::host {

Task<Exposed> PoolProvider::expose(PrepareArgs args) {
  const auto address = locate(args.function);
  if (!address) co_return pass(address);
  co_return Exposed{*address, fmt::format("{} of the pool of {}", *address, pf_)};
}

Task<std::optional<PciAddress>> PoolProvider::find(Function function) {
  const auto address = locate(function);
  if (!address) co_return pass(address);
  co_return *address;
}

Task<std::string> PoolProvider::withdraw(Function function) {
  const auto address = locate(function);
  if (!address) co_return pass(address);
  co_return fmt::format("{} stays in the pool of {}", *address, pf_);
}

// A VF that is not there is an error and not "nowhere": nobody can say what became of its state.
Result<PciAddress> PoolProvider::locate(const Function& function) const {
  const auto vfs = tree_.vfs_of(pf_);
  if (function.index >= vfs.size() || tree_.physical_of(vfs[function.index]) != pf_) {
    return fail(Code::kFailedPrecondition, "VFS_LOST", fmt::format("{} has no VF {}", pf_, function.index));
  }
  const PciAddress address = vfs[function.index];
  if (function.address && *function.address != address) {
    return fail(Code::kFailedPrecondition, "FUNCTION_MOVED",
                fmt::format("VF {} of {} is {} now and was {} when it was leased", function.index, pf_,
                            address, *function.address));
  }
  return address;
}

}  // namespace berth::host
