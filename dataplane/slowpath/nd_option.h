// The numbers of neighbour discovery that its readers and writers share.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <cstdint>

namespace berth::dataplane::slowpath {

inline constexpr std::uint8_t kNdHopLimit = 255;  // nothing that was routed has it (RFC 4861 section 3.1)

namespace nd_type {
inline constexpr std::uint8_t kRouterSolicitation = 133;
inline constexpr std::uint8_t kRouterAdvertisement = 134;
inline constexpr std::uint8_t kNeighbourSolicitation = 135;
inline constexpr std::uint8_t kNeighbourAdvertisement = 136;
inline constexpr std::uint8_t kRedirect = 137;
}  // namespace nd_type

// Options: RFC 4861 section 4.6, RFC 4191 section 2.3, RFC 8106 section 5. Lengths count 8 bytes.
namespace nd_option {
inline constexpr std::uint8_t kSourceLinkLayer = 1;
inline constexpr std::uint8_t kTargetLinkLayer = 2;
inline constexpr std::uint8_t kPrefixInformation = 3;
inline constexpr std::uint8_t kMtu = 5;
inline constexpr std::uint8_t kRouteInformation = 24;
inline constexpr std::uint8_t kDnsServers = 25;
inline constexpr std::uint8_t kDnsSearchList = 31;
}  // namespace nd_option

inline constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
inline IpAddress all_nodes() {
  return IpAddress::v6({0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

}  // namespace berth::dataplane::slowpath
