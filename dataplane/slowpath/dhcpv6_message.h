// A client's DHCPv6 message (RFC 8415), read and checked for form only.
#pragma once

#include "dataplane/slowpath/packet.h"

#include <array>
#include <optional>
#include <span>

namespace berth::dataplane::slowpath {

namespace dhcpv6_type {
inline constexpr std::uint8_t kSolicit = 1;
inline constexpr std::uint8_t kAdvertise = 2;
inline constexpr std::uint8_t kRequest = 3;
inline constexpr std::uint8_t kConfirm = 4;
inline constexpr std::uint8_t kRenew = 5;
inline constexpr std::uint8_t kRebind = 6;
inline constexpr std::uint8_t kReply = 7;
inline constexpr std::uint8_t kRelease = 8;
inline constexpr std::uint8_t kDecline = 9;
inline constexpr std::uint8_t kReconfigure = 10;
inline constexpr std::uint8_t kInformationRequest = 11;
inline constexpr std::uint8_t kRelayForward = 12;
inline constexpr std::uint8_t kRelayReply = 13;
}  // namespace dhcpv6_type

namespace dhcpv6_option {
inline constexpr std::uint16_t kClientId = 1;
inline constexpr std::uint16_t kServerId = 2;
inline constexpr std::uint16_t kIaNa = 3;
inline constexpr std::uint16_t kIaTa = 4;
inline constexpr std::uint16_t kIaAddress = 5;
inline constexpr std::uint16_t kPreference = 7;
inline constexpr std::uint16_t kStatusCode = 13;
inline constexpr std::uint16_t kRapidCommit = 14;
inline constexpr std::uint16_t kDnsServers = 23;
inline constexpr std::uint16_t kDomainList = 24;
inline constexpr std::uint16_t kIaPd = 25;
}  // namespace dhcpv6_option

// More than any client has; the answer to so many fits every buffer.
inline constexpr std::size_t kMaxIdentityAssociations = 8;
inline constexpr std::size_t kMaxAddressesPerAssociation = 4;

struct IdentityAssociation {
  std::uint16_t kind = 0;  // option kIaNa, kIaTa or kIaPd
  std::uint32_t id = 0;
  std::array<IpAddress, kMaxAddressesPerAssociation> addresses;  // of kIaNa and kIaTa
  std::size_t address_count = 0;

  std::span<const IpAddress> held() const { return std::span(addresses).first(address_count); }
};

struct Dhcpv6Message {
  std::uint8_t type = 0;
  std::uint32_t transaction = 0;  // 24 bits
  // DUIDs; empty: none. Point into what was read.
  Bytes client_id;
  Bytes server_id;
  bool wants_rapid_commit = false;
  std::array<IdentityAssociation, kMaxIdentityAssociations> associations;
  std::size_t association_count = 0;

  std::span<const IdentityAssociation> asked_for() const {
    return std::span(associations).first(association_count);
  }
};

// None: cut short, an option that matters twice or of a wrong length, DUIDs of less than 3 or more than 130
// bytes, or more associations and addresses than the limits above. Relayed messages have another form: not
// for this.
std::optional<Dhcpv6Message> read_dhcpv6(Bytes bytes);

}  // namespace berth::dataplane::slowpath
