// The headers of a packet as rules see them: what `explain` follows through the tables.
#pragma once

#include "base/error.h"
#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace berth::dataplane {

// One Ethernet/IP/L4 stack. Numbers in host byte order.
struct Headers {
  MacAddress eth_src;
  MacAddress eth_dst;
  std::uint16_t ether_type = 0;  // behind VLAN tags
  bool has_vlan = false;

  struct Ip {
    IpAddress src;
    IpAddress dst;
    std::uint8_t protocol = 0;  // IPv6: behind a fragment header
    bool is_fragment = false;   // the first one too
    auto operator<=>(const Ip&) const = default;
  };
  std::optional<Ip> ip;

  struct Ports {
    std::uint16_t src = 0;
    std::uint16_t dst = 0;
    auto operator<=>(const Ports&) const = default;
  };
  std::optional<Ports> ports;  // TCP and UDP; not of later fragments
  std::optional<std::uint8_t> icmp_type;

  std::optional<Vni> vni;  // a VXLAN packet; `inner` is what it carries
  std::shared_ptr<const Headers> inner;
};

// What a NIC's parser makes of the frame. INVALID_ARGUMENT (MALFORMED_PACKET) when not even its Ethernet
// header is there; layers that are cut short are left out.
Result<Headers> parse_frame(std::span<const std::uint8_t> frame);

// What a packet's text may leave out: the sender's own addresses, and the MAC that it would send to.
struct PacketDefaults {
  MacAddress eth_src;
  MacAddress eth_dst;
  std::optional<IpAddress> ipv4_src;
  std::optional<IpAddress> ipv6_src;
};

// Layers separated by " / ":
//
//   [eth [SRC] [> DST] [vlan]]  first, or left out
//   arp
//   ipv4 [SRC] > DST [fragment]     ipv6 [SRC] > DST [fragment]
//   udp SRC > DST    tcp SRC > DST    icmp [TYPE]    icmp6 [TYPE]    proto NUMBER
//   vxlan VNI                       behind udp; the inner layers follow, eth first
//
// INVALID_ARGUMENT (MALFORMED_PACKET) says which layer it does not understand.
Result<Headers> parse_packet_text(std::string_view text, const PacketDefaults& defaults);

// In the same form, complete.
std::string format_packet(const Headers& packet);

}  // namespace berth::dataplane
