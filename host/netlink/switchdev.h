// Brings a PF into switchdev mode with its VFs there. Which comes first depends on NIC and firmware:
//   ice refuses the mode while there are VFs;
//   ConnectX-6 Lx fw 26.42 refused it with VFs that were not all there yet ("bad resource state");
//   others create representors only for VFs that come after it.
// So: switchdev first, then VFs; when the NIC refuses that, back to the start, once the other way round, and
// then it is a fault that somebody has to look at. Maintenance: only while no VM has a function of this NIC.
#pragma once

#include "host/netlink/devlink.h"

#include <cstdint>
#include <string_view>

namespace berth::host {

// The eSwitch of one PF.
class EswitchModes {
 public:
  virtual ~EswitchModes() = default;
  virtual Task<EswitchState> read() = 0;
  virtual Task<void> ensure(EswitchChange wanted) = 0;  // errors as of Devlink::ensure_eswitch
};

class DevlinkEswitchModes : public EswitchModes {
 public:
  DevlinkEswitchModes(Devlink& devlink, DevlinkDevice device)
      : devlink_(devlink), device_(std::move(device)) {}
  Task<EswitchState> read() override { return devlink_.read_eswitch(device_); }
  Task<void> ensure(EswitchChange wanted) override { return devlink_.ensure_eswitch(device_, wanted); }

 private:
  Devlink& devlink_;
  DevlinkDevice device_;
};

// The VFs of the same PF.
class VfCount {
 public:
  virtual ~VfCount() = default;
  virtual Task<std::uint16_t> read() = 0;
  // Returns when exactly so many are there, none with a driver.
  virtual Task<void> ensure(std::uint16_t count) = 0;
};

enum class SwitchdevOrder : std::uint8_t { kWasSo, kSwitchdevFirst, kVfsFirst };
std::string_view order_name(SwitchdevOrder order);

// Returns which order the NIC took. FAILED_PRECONDITION (SWITCHDEV_REFUSED) with both refusals; the NIC is in
// legacy mode without VFs then, as far as it could be brought there.
Task<SwitchdevOrder> ensure_switchdev(EswitchModes& eswitch, VfCount& vfs, std::uint16_t count);

}  // namespace berth::host
