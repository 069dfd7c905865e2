// Functions that are PCI functions of this host, given to VMs by VFIO: VFs of its NIC, or what a hotplug
// provider brings. Puts the parts together, in the order that docs/host.md gives reasons for.
#pragma once

#include "host/function_driver.h"
#include "host/hotplug/hotplug_provider.h"
#include "host/passthrough.h"
#include "host/vf_attributes.h"
#include "host/vf_pool.h"

#include <utility>

namespace berth::host {

// What PFs keep of their VFs, where functions are VFs of PFs in this host.
struct AttributesOf {
  VfPool pool;
  VfAttributes& attributes;
};

// The function as a device of a VM.
VmDevice vf_device(const Function& function, PciAddress address);

class VfDriver : public FunctionDriver {
 public:
  // What it refers to outlives it. Without `attributes` the provider gives a function its MAC.
  VfDriver(HotplugProvider& provider, Passthrough& passthrough, std::optional<AttributesOf> attributes)
      : provider_(provider), passthrough_(passthrough), attributes_(std::move(attributes)) {}

  std::string_view kind() const override { return "vf"; }
  // FAILED_PRECONDITION (GROUP_HELD): somebody has the function, though nobody leased it.
  Task<StepOutcome> prepare(PrepareArgs args) override;
  Task<StepOutcome> expose(PrepareArgs args) override;
  Task<StepOutcome> bind(Function function) override;
  Task<StepOutcome> plug(Function function, VmId vm) override;
  Task<StepOutcome> unplug(Function function, VmId vm) override;
  Task<StepOutcome> unbind(Function function) override;
  Task<StepOutcome> reset(Function function) override;
  Task<StepOutcome> set_rate(PrepareArgs args) override;
  Task<std::vector<std::string>> find_drift(PrepareArgs args, VmId vm) override;
  Task<void> repair(PrepareArgs args, VmId vm) override;

 private:
  Task<PciAddress> address_of(Function function);
  // Of the function's PF, which there is.
  Task<void> ensure_settings(std::uint16_t function, VfSettings wanted);
  Task<bool> has_settings(std::uint16_t function, VfSettings wanted);
  Task<void> forget_tenant(std::uint16_t function);

  HotplugProvider& provider_;
  Passthrough& passthrough_;
  std::optional<AttributesOf> attributes_;
};

}  // namespace berth::host
