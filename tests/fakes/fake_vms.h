// VMs whose VMM really opens and closes the VFIO group of what it is given, and uses the device meanwhile.
// Does on request what VMMs and guests do on bad days.
#pragma once

#include "host/vm_plug.h"
#include "tests/fakes/fake_kernel.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace berth::testing {

class FakeVms : public host::VmPlug {
 public:
  explicit FakeVms(std::shared_ptr<FakeKernel> kernel) : kernel_(std::move(kernel)) {}

  // Which device a VM has now, by the device's id.
  std::map<std::string, std::pair<VmId, host::PciAddress>> plugged;
  bool has_free_slot = true;
  bool guest_lets_go = true;
  // After an unplug the group stays open until close_groups().
  bool keeps_groups_open = false;
  bool is_running = true;
  std::function<Task<void>()> before_plug;
  std::function<Task<void>()> after_plug;  // the VM has it, and its VMM has not answered

  Task<host::PlugOutcome> plug(VmId vm, host::VmDevice device) override {
    if (before_plug) {
      const auto waited = co_await before_plug();
      if (!waited) co_return pass(waited);
    }
    const auto address = std::get<host::VfioDevice>(device.device).address;
    if (!is_running) {
      co_return host::PlugOutcome{
          .detail = "vm is not running",
          .at_start = host::StartArguments{.qemu = {"-device", device.id}, .libvirt_xml = "<hostdev/>"}};
    }
    const auto known = plugged.find(device.id);
    if (known != plugged.end() && known->second == std::pair(vm, address)) co_return host::PlugOutcome{};
    if (!has_free_slot)
      co_return fail(Code::kFailedPrecondition, "NO_FREE_SLOT", "slot 0 is occupied already");
    // Functions of one group share one opening of it.
    if (!kernel_->open_group(address) && !has_of_group(vm, address))
      co_return fail(Code::kFailedPrecondition, "DEVICE_REFUSED", "vfio: cannot open the group");
    plugged.emplace(device.id, std::pair(vm, address));
    kernel_->soil(address);
    if (after_plug) {
      const auto waited = co_await after_plug();
      if (!waited) co_return pass(waited);
    }
    co_return host::PlugOutcome{.detail = "in port rp1"};
  }

  Task<std::string> unplug(VmId vm, std::string device_id) override {
    const auto known = plugged.find(device_id);
    if (known == plugged.end()) co_return std::string("the VM does not have it");
    if (!guest_lets_go) co_return fail(Code::kDeadlineExceeded, "GUEST_IGNORES_UNPLUG", "8 times 20 s");
    const auto address = known->second.second;
    plugged.erase(known);
    if (keeps_groups_open) {
      open_.insert(address);
    } else if (!has_of_group(vm, address)) {
      kernel_->close_group(address);
    }
    co_return std::string("the VM has lost it");
  }

  Task<bool> lacks(VmId, std::string device_id) override {
    co_return is_running && !plugged.contains(device_id);
  }

  // The host went down, and the VMs with it. None is started yet.
  void die() {
    plugged.clear();
    open_.clear();
    is_running = false;
  }

  void close_groups() {
    for (const auto& address : std::exchange(open_, {})) kernel_->close_group(address);
  }

 private:
  bool has_of_group(const VmId& vm, host::PciAddress address) const {
    const auto group = kernel_->tree().group_of(address);
    for (const auto& [id, owned] : plugged) {
      if (owned.first == vm && kernel_->tree().group_of(owned.second) == group) return true;
    }
    return false;
  }

  std::shared_ptr<FakeKernel> kernel_;
  std::set<host::PciAddress> open_;
};

}  // namespace berth::testing
