// Test-only: packets, built layer by layer with right lengths and checksums, and read back.
//
//   Packet().eth(kWebMac, kDbMac).ipv4("10.1.0.5", "10.1.0.6").udp(1000, 2000).payload(16).bytes()
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace berth::soft::test {

using Bytes = std::vector<std::uint8_t>;

class Packet {
 public:
  Packet& eth(const std::string& src, const std::string& dst);
  Packet& vlan(std::uint16_t tci, std::uint16_t tpid = 0x8100);
  Packet& arp();
  Packet& ipv4(const std::string& src, const std::string& dst, std::uint8_t ttl = 64,
               std::uint16_t fragment = 0);
  Packet& ipv6(const std::string& src, const std::string& dst);
  Packet& ipv6_fragment(std::uint16_t offset_and_more);
  Packet& udp(std::uint16_t src, std::uint16_t dst);
  Packet& tcp(std::uint16_t src, std::uint16_t dst, std::uint8_t flags = 0x10);
  Packet& icmp(std::uint8_t type, std::uint8_t code = 0);
  Packet& icmp6(std::uint8_t type, std::uint8_t code = 0);
  Packet& vxlan(std::uint32_t vni);
  Packet& payload(std::size_t bytes);

  // Fills types, protocols, lengths and checksums in; UDP in front of VXLAN gets none.
  Bytes bytes() const;

 private:
  struct Layer {
    enum class Kind {
      kEth,
      kVlan,
      kArp,
      kIpv4,
      kIpv6,
      kFragment,
      kUdp,
      kTcp,
      kIcmp,
      kIcmp6,
      kVxlan,
      kPayload
    };
    Kind kind;
    Bytes header;
  };
  static std::uint16_t ether_type(Layer::Kind kind);
  static std::uint8_t protocol(Layer::Kind kind);

  std::vector<Layer> layers_;
  std::uint16_t vlan_tpid_ = 0x8100;
};

// Empty when all IPv4, UDP, TCP and ICMPv6 checksums of the packet (inner ones too) are right.
std::string checksum_fault(const Bytes& packet);

}  // namespace berth::soft::test
