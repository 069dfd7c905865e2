// What a function's configuration space says about ACS and ATS. Linux shows 64 bytes of it to those without
// CAP_SYS_ADMIN, and 256 of functions without extended space: what is not readable is unknown, never absent.
// Source: PCI Express Base 5.0, 7.6.3 (extended capabilities), 7.7.8 (ACS), 10.5.1 (ATS); linux/pci_regs.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace berth::host::topology {

enum class Capability : std::uint8_t {
  kUnknown,  // not readable
  kAbsent,
  kOff,
  kOn,
};
std::string capability_name(Capability capability);  // "unknown", "absent", "off", "on"

// Bits of the ACS control register.
inline constexpr std::uint16_t kAcsSourceValidation = 1U << 0;
inline constexpr std::uint16_t kAcsRequestRedirect = 1U << 2;
inline constexpr std::uint16_t kAcsCompletionRedirect = 1U << 3;
inline constexpr std::uint16_t kAcsUpstreamForwarding = 1U << 4;
inline constexpr std::uint16_t kAcsDirectTranslated = 1U << 6;

struct ConfigSpace {
  Capability acs = Capability::kUnknown;  // on: it keeps what is behind apart (redirects requests)
  std::uint16_t acs_control = 0;
  Capability ats = Capability::kUnknown;
};

// `bytes` as read from sysfs, little-endian. Any bytes will do; a list that runs in a circle ends.
ConfigSpace parse_config_space(std::span<const std::uint8_t> bytes);

}  // namespace berth::host::topology
