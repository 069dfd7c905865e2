// Views of a frame's layers, each checked as far as a gateway has to before it looks further: lengths that
// agree, checksums that are right. What a view shows lies inside the frame.
#pragma once

#include "dataplane/slowpath/wire_reader.h"

#include <cstdint>
#include <optional>

namespace berth::dataplane::slowpath {

inline constexpr std::size_t kEthernetBytes = 14;
inline constexpr MacAddress kBroadcastMac{{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

struct Frame {
  MacAddress dst;
  MacAddress src;
  std::uint16_t ether_type = 0;
  Bytes payload;
};
// None: shorter than an Ethernet header.
std::optional<Frame> read_frame(Bytes bytes);
bool is_vlan_type(std::uint16_t ether_type);

struct IpPacket {
  IpAddress src;
  IpAddress dst;
  std::uint8_t protocol = 0;  // IPv6: the first next header; extension headers are not followed
  std::uint8_t hop_limit = 0;
  bool is_fragment = false;
  bool may_be_fragmented = true;  // IPv4 without "don't fragment"
  Bytes whole;                    // header and payload, without what pads the frame
  Bytes payload;
};
// None: not that version, cut short, or (IPv4) a wrong header checksum.
std::optional<IpPacket> read_ipv4(Bytes bytes);
std::optional<IpPacket> read_ipv6(Bytes bytes);

struct UdpDatagram {
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  Bytes payload;
};
// None: cut short, or a wrong checksum. A checksum of 0 is none at all and allowed with IPv4 only.
std::optional<UdpDatagram> read_udp(const IpPacket& packet);

// RFC 4291 appendix A: fe80:: and the modified EUI-64 of a MAC.
IpAddress link_local_of(const MacAddress& mac);
bool is_link_local(const IpAddress& ip);  // fe80::/10

}  // namespace berth::dataplane::slowpath
