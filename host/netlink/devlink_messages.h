// devlink's requests and answers: pure, structs to bytes and back. Source: include/uapi/linux/devlink.h.
#pragma once

#include "base/mac_address.h"
#include "host/netlink/exchange.h"
#include "host/netlink/port_name.h"
#include "host/pci_address.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::host {

// Whose eSwitch: "pci/0000:3b:00.0".
struct DevlinkDevice {
  std::string bus;
  std::string name;
  static DevlinkDevice pci(const PciAddress& address) { return {"pci", address.str()}; }
  std::string str() const { return bus + "/" + name; }
  auto operator<=>(const DevlinkDevice&) const = default;
};

enum class EswitchMode : std::uint8_t { kLegacy, kSwitchdev };
enum class EncapMode : std::uint8_t { kNone, kBasic };

struct EswitchState {
  std::optional<EswitchMode> mode;  // not set: a mode that is neither (switchdev_inactive)
  std::optional<EncapMode> encap;   // not set: the driver has no such thing
  bool operator==(const EswitchState&) const = default;
};

// What is set is changed. Where both are, the kernel changes the mode first.
using EswitchChange = EswitchState;

struct PortFunction {
  std::optional<MacAddress> mac;  // not set: none, or not six bytes (InfiniBand)
  std::optional<bool> is_active;
  std::optional<bool> is_attached;  // a driver has it; read only
  bool operator==(const PortFunction&) const = default;
};

struct DevlinkPort {
  DevlinkDevice device;
  std::uint32_t index = 0;
  PortName name;             // made of flavour and numbers
  bool is_function = false;  // a PF, VF or SF; false: uplinks and whatever else there is
  int ifindex = 0;           // of its network device; 0: none
  std::string netdev;
  PortFunction function;
};

// Bytes per second of what the function sends. 0: no guarantee, no limit.
struct PortRate {
  std::uint64_t guaranteed = 0;
  std::uint64_t most = 0;
  bool operator==(const PortRate&) const = default;
};

// Generic netlink's own: which number the family has on this kernel.
struct GenericFamily {
  std::uint16_t id = 0;
  std::uint32_t config_group = 0;  // multicast group of notifications; 0: none
};

Bytes format_family_request(const std::string& name);
Result<GenericFamily> parse_family(const Bytes& message);

Bytes format_eswitch_get(const GenericFamily& family, const DevlinkDevice& device);
Bytes format_eswitch_set(const GenericFamily& family, const DevlinkDevice& device,
                         const EswitchChange& change);
EswitchState parse_eswitch(const Bytes& message);

Bytes format_ports_list(const GenericFamily& family);
// Nothing for a message that is not about a port.
std::optional<DevlinkPort> parse_port(const Bytes& message);

Bytes format_function_set(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port,
                          const PortFunction& function);

Bytes format_rate_get(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port);
Bytes format_rate_set(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port,
                      PortRate rate);
PortRate parse_rate(const Bytes& message);

}  // namespace berth::host
