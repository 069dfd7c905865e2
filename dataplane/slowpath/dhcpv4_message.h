// A client's DHCPv4 message (RFC 2131 section 2, RFC 2132), read and checked for form only.
#pragma once

#include "dataplane/slowpath/packet.h"

#include <optional>

namespace berth::dataplane::slowpath {

enum class DhcpType : std::uint8_t {
  kDiscover = 1,
  kOffer = 2,
  kRequest = 3,
  kDecline = 4,
  kAck = 5,
  kNak = 6,
  kRelease = 7,
  kInform = 8,
};

namespace dhcp_option {
inline constexpr std::uint8_t kPad = 0;
inline constexpr std::uint8_t kSubnetMask = 1;
inline constexpr std::uint8_t kRouter = 3;
inline constexpr std::uint8_t kDnsServers = 6;
inline constexpr std::uint8_t kHostName = 12;
inline constexpr std::uint8_t kDomainName = 15;
inline constexpr std::uint8_t kMtu = 26;
inline constexpr std::uint8_t kRequestedIp = 50;
inline constexpr std::uint8_t kLeaseTime = 51;
inline constexpr std::uint8_t kOverload = 52;
inline constexpr std::uint8_t kMessageType = 53;
inline constexpr std::uint8_t kServerId = 54;
inline constexpr std::uint8_t kMaxMessageBytes = 57;
inline constexpr std::uint8_t kRenewalTime = 58;
inline constexpr std::uint8_t kRebindingTime = 59;
inline constexpr std::uint8_t kClientId = 61;
inline constexpr std::uint8_t kRapidCommit = 80;
inline constexpr std::uint8_t kClasslessRoutes = 121;
inline constexpr std::uint8_t kEnd = 255;
}  // namespace dhcp_option

inline constexpr std::uint32_t kDhcpMagic = 0x63825363;
inline constexpr std::uint8_t kBootRequest = 1;
inline constexpr std::uint8_t kBootReply = 2;
inline constexpr std::uint16_t kMinDhcpMessageBytes =
    576;  // with IP and UDP headers: what every client takes

struct DhcpMessage {
  std::uint8_t op = 0;
  std::uint32_t transaction = 0;
  std::uint16_t flags = 0;
  IpAddress client_ip;  // ciaddr
  IpAddress relay_ip;   // giaddr
  MacAddress client_mac;
  DhcpType type{};
  std::optional<IpAddress> requested_ip;
  std::optional<IpAddress> server_id;
  Bytes client_id;  // empty: none. Points into what was read
  std::uint16_t max_message_bytes = kMinDhcpMessageBytes;
  bool wants_rapid_commit = false;
  bool is_overloaded = false;  // options in the sname or file fields too

  bool wants_broadcast() const { return (flags & 0x8000) != 0; }
};

// None: cut short, no Ethernet client, no DHCP (plain BOOTP), no message type, or an option that matters
// twice or of a wrong length.
std::optional<DhcpMessage> read_dhcp(Bytes bytes);

}  // namespace berth::dataplane::slowpath
