// Functions that are VFs of a PF in this host. They were made at the start and stay on the bus: to be exposed
// is to become somebody's.
#pragma once

#include "host/hotplug/hotplug_provider.h"
#include "host/pci/pci_tree.h"

namespace berth::host {

class PoolProvider : public HotplugProvider {
 public:
  // vf<index> is the PF's VF of that number. `tree` outlives the provider.
  PoolProvider(const PciTree& tree, PciAddress pf) : tree_(tree), pf_(pf) {}

  std::string_view kind() const override { return "pool"; }
  // FAILED_PRECONDITION (VFS_LOST) when the PF does not have that VF any more; FUNCTION_MOVED when it is at
  // another address than the one that its lease was given.
  Task<Exposed> expose(PrepareArgs args) override;
  Task<std::optional<PciAddress>> find(Function function) override;
  Task<std::string> withdraw(Function function) override;

 private:
  Result<PciAddress> locate(const Function& function) const;

  const PciTree& tree_;
  PciAddress pf_;
};

}  // namespace berth::host
