#include "host/topology/config_space.h"

namespace berth::host::topology {
namespace {

constexpr std::size_t kExtendedStart = 0x100;
constexpr std::size_t kExtendedEnd = 0x1000;
constexpr std::size_t kHeaderBytes = 8;  // header, capability and control register
constexpr std::size_t kMaxCapabilities = (kExtendedEnd - kExtendedStart) / kHeaderBytes;
constexpr std::uint32_t kAcsId = 0x000D;
constexpr std::uint32_t kAtsId = 0x000F;
constexpr std::uint16_t kAtsEnable = 1U << 15;

std::uint16_t u16_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

std::uint32_t u32_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  return u16_at(bytes, at) | static_cast<std::uint32_t>(u16_at(bytes, at + 2)) << 16;
}

}  // namespace

std::string capability_name(Capability capability) {
  switch (capability) {
    case Capability::kUnknown:
      return "unknown";
    case Capability::kAbsent:
      return "absent";
    case Capability::kOff:
      return "off";
    case Capability::kOn:
      return "on";
  }
  return "unknown";
}

ConfigSpace parse_config_space(std::span<const std::uint8_t> bytes) {
  ConfigSpace space;
  if (bytes.size() < kExtendedEnd) return space;
  space.acs = Capability::kAbsent;
  space.ats = Capability::kAbsent;
  std::size_t at = kExtendedStart;
  for (std::size_t count = 0; count < kMaxCapabilities; ++count) {
    if (at < kExtendedStart || at + kHeaderBytes > kExtendedEnd) break;
    const std::uint32_t header = u32_at(bytes, at);
    // All ones: the function does not answer (gone, or in reset), which says nothing about it.
    if (header == 0xFFFFFFFF) return {};
    if ((header & 0xFFFF) == kAcsId) {
      space.acs_control = u16_at(bytes, at + 6);
      const bool redirects = (space.acs_control & kAcsRequestRedirect) != 0;
      space.acs = redirects ? Capability::kOn : Capability::kOff;
    }
    if ((header & 0xFFFF) == kAtsId)
      space.ats = (u16_at(bytes, at + 6) & kAtsEnable) != 0 ? Capability::kOn : Capability::kOff;
    at = (header >> 20) & 0xFFC;
  }
  return space;
}

}  // namespace berth::host::topology
