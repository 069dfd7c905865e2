// Functions that a BlueField DPU plugs into this host as virtio-net devices, one for each lease, through the
// command line of its virtio-net controller (or whatever speaks like it: a script that asks the DPU). A
// device is known by its MAC, which no two leases of a host share at a time.
#pragma once

#include "host/child_process.h"
#include "host/deadlines.h"
#include "host/hotplug/hotplug_provider.h"
#include "host/hotplug/virtnet_answer.h"
#include "host/pci/pci_events.h"
#include "host/pci/pci_tree.h"

#include <vector>

namespace berth::host {

class VirtnetProvider : public HotplugProvider {
 public:
  struct Controller {
    std::string program = "/usr/bin/virtnet";
    std::string rdma_device = "mlx5_0";  // the port that the devices are on
    unsigned queue_count = 3;
    unsigned queue_size = 1024;
  };
  // `tree` and `events` outlive it.
  VirtnetProvider(const PciTree& tree, PciEvents& events, Deadlines deadlines, Controller controller)
      : tree_(tree), events_(events), deadlines_(deadlines), controller_(std::move(controller)) {}

  std::string_view kind() const override { return "virtnet"; }
  // VIRTNET_REFUSED, VIRTNET_ANSWER, those of run_child(), FUNCTION_DID_NOT_APPEAR.
  Task<Exposed> expose(PrepareArgs args) override;
  Task<std::optional<PciAddress>> find(Function function) override;
  // FUNCTION_DID_NOT_GO (DEADLINE_EXCEEDED) when the kernel still shows it.
  Task<std::string> withdraw(Function function) override;

 private:
  Task<std::optional<VirtnetDevice>> look_up(MacAddress mac);
  Task<std::string> call(std::vector<std::string> arguments);

  const PciTree& tree_;
  PciEvents& events_;
  Deadlines deadlines_;
  Controller controller_;
};

}  // namespace berth::host
