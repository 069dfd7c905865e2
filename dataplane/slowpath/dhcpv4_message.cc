#include "dataplane/slowpath/dhcpv4_message.h"

#include <algorithm>
#include <array>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kHardwareEthernet = 1;

// What is wrong with its length makes the whole message malformed: it was sent to say something.
bool take_option(DhcpMessage& message, std::uint8_t code, Bytes value) {
  WireReader reader(value);
  switch (code) {
    case dhcp_option::kMessageType:
      message.type = static_cast<DhcpType>(reader.u8());
      break;
    case dhcp_option::kRequestedIp:
      message.requested_ip = reader.ipv4();
      break;
    case dhcp_option::kServerId:
      message.server_id = reader.ipv4();
      break;
    case dhcp_option::kMaxMessageBytes:
      message.max_message_bytes = std::max(reader.u16(), kMinDhcpMessageBytes);
      break;
    case dhcp_option::kClientId:
      message.client_id = value;
      reader.skip(value.size());
      return value.size() >= 2;
    case dhcp_option::kRapidCommit:
      message.wants_rapid_commit = true;
      break;
    case dhcp_option::kOverload:
      message.is_overloaded = true;
      reader.skip(1);
      break;
    default:
      return true;
  }
  return reader.is_intact() && reader.is_empty();
}

constexpr std::array kOptionsThatMatter{dhcp_option::kMessageType, dhcp_option::kRequestedIp,
                                        dhcp_option::kServerId,    dhcp_option::kMaxMessageBytes,
                                        dhcp_option::kClientId,    dhcp_option::kRapidCommit,
                                        dhcp_option::kOverload};

bool read_options(WireReader& reader, DhcpMessage& message) {
  std::uint32_t seen = 0;  // bits: indices of kOptionsThatMatter
  // A missing end option is forgiven: some clients cut their padding off together with it.
  while (!reader.is_empty()) {
    const std::uint8_t code = reader.u8();
    if (code == dhcp_option::kPad) continue;
    if (code == dhcp_option::kEnd) break;
    const Bytes value = reader.bytes(reader.u8());
    if (!reader.is_intact()) return false;
    const auto found = std::ranges::find(kOptionsThatMatter, code);
    if (found == kOptionsThatMatter.end()) continue;
    const std::uint32_t bit = 1U << (found - kOptionsThatMatter.begin());
    if ((seen & bit) != 0 || !take_option(message, code, value)) return false;
    seen |= bit;
  }
  return (seen & 1) != 0;  // the message type
}

}  // namespace

std::optional<DhcpMessage> read_dhcp(Bytes bytes) {
  WireReader reader(bytes);
  DhcpMessage message;
  message.op = reader.u8();
  const bool is_ethernet = reader.u8() == kHardwareEthernet && reader.u8() == 6;
  reader.skip(1);  // hops: no relay is between us
  message.transaction = reader.u32();
  reader.skip(2);  // seconds
  message.flags = reader.u16();
  message.client_ip = reader.ipv4();
  reader.skip(8);  // yiaddr, siaddr: the server's to say
  message.relay_ip = reader.ipv4();
  message.client_mac = reader.mac();
  reader.skip(10 + 64 + 128);  // rest of chaddr, sname, file
  const bool is_dhcp = reader.u32() == kDhcpMagic;
  if (!reader.is_intact() || !is_ethernet || !is_dhcp || !read_options(reader, message)) return std::nullopt;
  return message;
}

}  // namespace berth::dataplane::slowpath
