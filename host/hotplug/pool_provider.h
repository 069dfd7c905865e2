// Functions that are VFs of PFs in this host. They were made at the start and stay on the bus: to be exposed
// is to become somebody's.
#pragma once

#include "host/hotplug/hotplug_provider.h"
#include "host/pci/pci_tree.h"
#include "host/vf_pool.h"

#include <utility>

namespace berth::host {

class PoolProvider : public HotplugProvider {
 public:
  // `tree` outlives the provider.
  PoolProvider(const PciTree& tree, VfPool pool) : tree_(tree), pool_(std::move(pool)) {}

  std::string_view kind() const override { return "pool"; }
  // FAILED_PRECONDITION (VFS_LOST) when the PF does not have that VF any more; FUNCTION_MOVED when it is at
  // another address than the one that its lease was given.
  Task<Exposed> expose(PrepareArgs args) override;
  Task<std::optional<PciAddress>> find(Function function) override;
  Task<std::string> withdraw(Function function) override;

 private:
  struct Located {
    PciAddress address;
    PciAddress pf;
  };
  Result<Located> locate(const Function& function) const;

  const PciTree& tree_;
  VfPool pool_;
};

}  // namespace berth::host
