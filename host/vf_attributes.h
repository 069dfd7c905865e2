// What a PF keeps of each of its VFs: the administrator's MAC, the rate, trust and spoof check. To be set
// while the VF has no driver: a VF reads its MAC when its driver probes it.
// Source: IFLA_VF_MAC, IFLA_VF_RATE, IFLA_VF_TRUST, IFLA_VF_SPOOFCHK of include/uapi/linux/if_link.h.
#pragma once

#include "base/mac_address.h"
#include "base/task.h"
#include "host/pci_address.h"

#include <cstdint>
#include <optional>

namespace berth::host {

// Mbit/s of what the VM sends, Ethernet headers included. 0: no limit, no guarantee.
struct VfRate {
  std::uint32_t min_mbits = 0;
  std::uint32_t max_mbits = 0;
  auto operator<=>(const VfRate&) const = default;
};

// What is not set stays as it is.
struct VfSettings {
  std::optional<MacAddress> mac;  // zero: none, the VF's driver may choose
  std::optional<VfRate> rate;
  // An eSwitch in switchdev mode has neither: its rules do the work. FAILED_PRECONDITION
  // (VF_ATTRIBUTE_UNSUPPORTED) there, unless it asks for what is the case anyway (not trusted).
  std::optional<bool> is_trusted;
  std::optional<bool> is_spoof_checked;
  bool operator==(const VfSettings&) const = default;
};

class VfAttributes {
 public:
  virtual ~VfAttributes() = default;

  // Returns when the PF, read back, has them. Idempotent. `vf` counts from 0, like virtfn<vf> in sysfs.
  // NOT_FOUND (VF_UNKNOWN) when the PF has no network device or no such VF, FAILED_PRECONDITION
  // (VF_ATTRIBUTE_UNSUPPORTED, VF_ATTRIBUTE_REFUSED) naming the attribute, UNAVAILABLE (NETLINK_FAILED).
  virtual Task<void> ensure(PciAddress pf, std::uint16_t vf, VfSettings settings) = 0;

  // As the PF has them now; what it does not tell is not set.
  virtual Task<VfSettings> read(PciAddress pf, std::uint16_t vf) = 0;
};

}  // namespace berth::host
