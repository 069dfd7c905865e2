#include "dataplane/explain/headers.h"

#include "dataplane/slowpath/wire_reader.h"
#include "dataplane/wire_numbers.h"

#include <utility>

namespace berth::dataplane {
namespace {

using slowpath::WireReader;

constexpr std::uint8_t kIpv6FragmentHeader = 44;
constexpr std::uint16_t kMoreFragmentsAndOffset = 0x3FFF;
constexpr std::uint16_t kFragmentOffset = 0x1FFF;

void read_l4(WireReader& reader, Headers& headers);

void read_vxlan(WireReader& reader, Headers& headers) {
  reader.skip(4);  // flags
  const std::uint32_t vni = reader.u24();
  reader.skip(1);
  const auto inner = parse_frame(reader.rest());
  if (!reader.is_intact() || !inner) return;
  headers.vni = Vni::trusted(vni);
  headers.inner = std::make_shared<const Headers>(*inner);
}

void read_l4(WireReader& reader, Headers& headers) {
  const std::uint8_t protocol = headers.ip->protocol;
  if (protocol == kProtocolIcmp || protocol == kProtocolIcmpv6) {
    const std::uint8_t type = reader.u8();
    if (reader.is_intact()) headers.icmp_type = type;
    return;
  }
  if (protocol != kProtocolTcp && protocol != kProtocolUdp) return;
  const std::uint16_t src = reader.u16();
  const std::uint16_t dst = reader.u16();
  if (!reader.is_intact()) return;
  headers.ports = Headers::Ports{src, dst};
  if (protocol == kProtocolUdp && dst == kVxlanUdpPort) {
    reader.skip(4);  // length, checksum
    read_vxlan(reader, headers);
  }
}

void read_ipv4(WireReader& reader, Headers& headers) {
  const std::size_t header_bytes = 4U * (reader.u8() & 0x0FU);
  reader.skip(5);
  const std::uint16_t fragment = reader.u16();
  reader.skip(1);
  Headers::Ip ip;
  ip.protocol = reader.u8();
  reader.skip(2);
  ip.src = reader.ipv4();
  ip.dst = reader.ipv4();
  ip.is_fragment = (fragment & kMoreFragmentsAndOffset) != 0;
  if (header_bytes < 20) return;
  reader.skip(header_bytes - 20);
  if (!reader.is_intact()) return;
  headers.ip = ip;
  if ((fragment & kFragmentOffset) == 0) read_l4(reader, headers);
}

void read_ipv6(WireReader& reader, Headers& headers) {
  reader.skip(6);
  Headers::Ip ip;
  ip.protocol = reader.u8();
  reader.skip(1);
  ip.src = reader.ipv6();
  ip.dst = reader.ipv6();
  bool is_first = true;
  if (ip.protocol == kIpv6FragmentHeader) {
    ip.protocol = reader.u8();
    reader.skip(1);
    is_first = (reader.u16() & 0xFFF8) == 0;
    reader.skip(4);
    ip.is_fragment = true;
  }
  if (!reader.is_intact()) return;
  headers.ip = ip;
  if (is_first) read_l4(reader, headers);
}

}  // namespace

Result<Headers> parse_frame(std::span<const std::uint8_t> frame) {
  WireReader reader(frame);
  Headers headers;
  headers.eth_dst = reader.mac();
  headers.eth_src = reader.mac();
  headers.ether_type = reader.u16();
  while (reader.is_intact() &&
         (headers.ether_type == kEtherTypeVlan || headers.ether_type == kEtherTypeServiceVlan)) {
    headers.has_vlan = true;
    reader.skip(2);
    headers.ether_type = reader.u16();
  }
  if (!reader.is_intact())
    return fail_field("packet", "MALFORMED_PACKET", "too short for an Ethernet header");
  if (headers.ether_type == kEtherTypeIpv4) read_ipv4(reader, headers);
  if (headers.ether_type == kEtherTypeIpv6) read_ipv6(reader, headers);
  return headers;
}

}  // namespace berth::dataplane
