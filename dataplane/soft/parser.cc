#include "dataplane/soft/parser.h"

#include <array>
#include <bit>
#include <cstring>

namespace berth::soft {
namespace {

constexpr std::uint32_t kEthernetLength = 14;
constexpr std::uint32_t kVlanLength = 4;
constexpr std::uint32_t kIpv4MinimumLength = 20;
constexpr std::uint32_t kIpv6Length = 40;
constexpr std::uint32_t kFragmentHeaderLength = 8;
constexpr std::uint32_t kUdpLength = 8;
constexpr std::uint32_t kTcpMinimumLength = 20;
constexpr std::uint32_t kIcmpMinimumLength = 4;
constexpr std::uint32_t kVxlanLength = 8;
constexpr std::uint16_t kVxlanPort = 4789;

constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeIpv6 = 0x86dd;
constexpr std::uint16_t kTypeVlan = 0x8100;
constexpr std::uint16_t kTypeQinq = 0x88a8;

constexpr std::uint8_t kProtocolIcmp = 1;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kProtocolFragment = 44;
constexpr std::uint8_t kProtocolIcmp6 = 58;

std::uint16_t read16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

bool is_vlan_type(std::uint16_t type) {
  return type == kTypeVlan || type == kTypeQinq;
}

// Reads one stack of headers from `l2` on. Returns the offset behind a VXLAN header, 0 if there is none.
class LayerReader {
 public:
  LayerReader(const std::uint8_t* data, std::uint32_t length, LayerFields& fields, LayerOffsets& offsets)
      : data_(data), length_(length), fields_(fields), offsets_(offsets) {}

  std::uint32_t read(std::uint32_t l2) {
    if (l2 + kEthernetLength > length_) return 0;
    offsets_.l2 = static_cast<std::uint16_t>(l2);
    const std::uint8_t* ethernet = data_ + l2;
    std::memcpy(fields_.dst_mac.data(), ethernet, 6);
    std::memcpy(fields_.src_mac.data(), ethernet + 6, 6);
    fields_.presence = kHasEthernet;
    const std::uint32_t l3 = read_vlans(l2 + kEthernetLength, read16(ethernet + 12));
    if (l3 == 0) return 0;
    offsets_.l3 = static_cast<std::uint16_t>(l3);
    if (type_ == kTypeIpv4) return read_ipv4(l3);
    if (type_ == kTypeIpv6) return read_ipv6(l3);
    return 0;
  }

 private:
  void add(Presence bit) { fields_.presence = static_cast<std::uint16_t>(fields_.presence | bit); }

  std::uint32_t read_vlans(std::uint32_t at, std::uint16_t type) {
    std::memcpy(&fields_.ether_type, data_ + at - 2, 2);
    if (is_vlan_type(type)) {
      add(kHasVlan);
      if (at + kVlanLength > length_) return 0;
      std::memcpy(&fields_.vlan_tci, data_ + at, 2);
      type = read16(data_ + at + 2);
      at += kVlanLength;
      if (is_vlan_type(type)) {
        add(kHasMoreVlan);
        if (at + kVlanLength > length_) return 0;
        type = read16(data_ + at + 2);
        at += kVlanLength;
      }
      std::memcpy(&fields_.ether_type, data_ + at - 2, 2);
    }
    type_ = type;
    return at;
  }

  std::uint32_t read_ipv4(std::uint32_t l3) {
    if (l3 + kIpv4MinimumLength > length_) return 0;
    const std::uint8_t* ip = data_ + l3;
    const std::uint32_t header = (ip[0] & 0xfU) * 4;
    if ((ip[0] >> 4) != 4 || header < kIpv4MinimumLength || l3 + header > length_) return 0;
    add(kHasIpv4);
    fields_.tos = ip[1];
    std::memcpy(&fields_.fragment, ip + 6, 2);
    fields_.ttl = ip[8];
    fields_.protocol = ip[9];
    std::memcpy(fields_.addresses.data(), ip + 12, 8);
    const bool is_later_fragment = (read16(ip + 6) & 0x1fff) != 0;
    return is_later_fragment ? 0 : read_l4(l3 + header, false);
  }

  std::uint32_t read_ipv6(std::uint32_t l3) {
    if (l3 + kIpv6Length > length_) return 0;
    const std::uint8_t* ip = data_ + l3;
    if ((ip[0] >> 4) != 6) return 0;
    add(kHasIpv6);
    fields_.tos = static_cast<std::uint8_t>(ip[0] << 4 | ip[1] >> 4);
    fields_.ttl = ip[7];
    fields_.protocol = ip[6];
    std::memcpy(fields_.addresses.data(), ip + 8, 32);
    std::uint32_t l4 = l3 + kIpv6Length;
    if (ip[6] == kProtocolFragment) {
      if (l4 + kFragmentHeaderLength > length_) return 0;
      const std::uint8_t* fragment = data_ + l4;
      add(kHasFragmentHeader);
      fields_.protocol = fragment[0];
      const bool is_later_fragment = (read16(fragment + 2) & 0xfff8) != 0;
      if (is_later_fragment) return 0;
      l4 += kFragmentHeaderLength;
    }
    return read_l4(l4, true);
  }

  std::uint32_t read_l4(std::uint32_t l4, bool is_v6) {
    offsets_.l4 = static_cast<std::uint16_t>(l4);
    const std::uint8_t* header = data_ + l4;
    switch (fields_.protocol) {
      case kProtocolUdp:
        if (l4 + kUdpLength > length_) return 0;
        add(kHasUdp);
        read_ports(header);
        return read16(header + 2) == kVxlanPort ? read_vxlan(l4 + kUdpLength) : 0;
      case kProtocolTcp:
        if (l4 + kTcpMinimumLength > length_) return 0;
        add(kHasTcp);
        read_ports(header);
        fields_.tcp_flags = header[13];
        return 0;
      case kProtocolIcmp:
      case kProtocolIcmp6:
        if ((fields_.protocol == kProtocolIcmp6) != is_v6 || l4 + kIcmpMinimumLength > length_) return 0;
        add(is_v6 ? kHasIcmp6 : kHasIcmp);
        std::memcpy(fields_.src_port.data(), header, 2);
        return 0;
      default:
        return 0;
    }
  }

  void read_ports(const std::uint8_t* header) {
    std::memcpy(fields_.src_port.data(), header, 2);
    std::memcpy(fields_.dst_port.data(), header + 2, 2);
  }

  std::uint32_t read_vxlan(std::uint32_t at) {
    constexpr std::uint8_t kFlagVniIsValid = 0x08;
    if (at + kVxlanLength > length_ || (data_[at] & kFlagVniIsValid) == 0) return 0;
    add(kHasVxlan);
    std::memcpy(fields_.vni.data(), data_ + at + 4, 3);
    return at + kVxlanLength;
  }

  const std::uint8_t* data_;
  std::uint32_t length_;
  LayerFields& fields_;
  LayerOffsets& offsets_;
  std::uint16_t type_ = 0;
};

// The usual packet, Ethernet / IPv4 without options or IPv6 / UDP or TCP, untagged, not a fragment. Its
// fields lie in the frame almost as in LayerFields, so whole words are copied: a vector filled byte by byte
// would make every later read of a word wait for the stores. Anything else is left to LayerReader.
class UsualLayer {
 public:
  UsualLayer(const std::uint8_t* data, std::uint32_t length, std::uint32_t l2)
      : frame_(data + l2), left_(length - l2), l2_(l2) {}

  // False when the packet is not usual; nothing is written then.
  bool read(LayerFields& fields, LayerOffsets& offsets, std::uint32_t& behind_vxlan) {
    constexpr std::uint32_t kShortest = kEthernetLength + kIpv4MinimumLength + kTcpMinimumLength;
    if (left_ < kShortest) return false;
    const std::uint16_t type = read16(frame_ + 12);
    const std::uint8_t* ip = frame_ + kEthernetLength;
    if (type == kTypeIpv4) {
      if (ip[0] != 0x45 || (read16(ip + 6) & 0x3fff) != 0) return false;
      return read_l4(ip[9], kEthernetLength + kIpv4MinimumLength, kHasIpv4, fields, offsets, behind_vxlan);
    }
    if (type != kTypeIpv6 || ip[0] >> 4 != 6) return false;
    return read_l4(ip[6], kEthernetLength + kIpv6Length, kHasIpv6, fields, offsets, behind_vxlan);
  }

 private:
  static std::uint64_t load(const std::uint8_t* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    return word;
  }

  bool read_l4(std::uint8_t protocol, std::uint32_t at, Presence family, LayerFields& fields,
               LayerOffsets& offsets, std::uint32_t& behind_vxlan) {
    const bool is_udp = protocol == kProtocolUdp;
    if (!is_udp && protocol != kProtocolTcp) return false;
    if (at + (is_udp ? kUdpLength : kTcpMinimumLength) > left_) return false;
    const std::uint8_t* ip = frame_ + kEthernetLength;
    const std::uint8_t* l4 = frame_ + at;
    const bool is_v4 = family == kHasIpv4;

    std::array<std::uint64_t, sizeof(LayerFields) / 8> words{};
    words[0] = load(frame_ + 6);                         // source MAC, type
    words[1] = load(frame_) & 0x0000'ffff'ffff'ffffULL;  // destination MAC, no tag
    if (is_v4) {
      words[2] = load(ip + 12);
    } else {
      for (std::size_t i = 0; i < 4; ++i) words[2 + i] = load(ip + 8 + 8 * i);
    }
    std::uint32_t ports = 0;
    std::memcpy(&ports, l4, 4);
    const std::uint64_t tos = is_v4 ? ip[1] : (ip[0] << 4 | ip[1] >> 4) & 0xff;
    const std::uint64_t ttl = is_v4 ? ip[8] : ip[7];
    const std::uint64_t flags = is_udp ? 0 : l4[13];
    words[6] = ports | std::uint64_t{protocol} << 32 | tos << 40 | ttl << 48 | flags << 56;
    std::uint16_t fragment = 0;
    if (is_v4) std::memcpy(&fragment, ip + 6, 2);
    std::uint64_t presence = static_cast<std::uint64_t>(kHasEthernet | family | (is_udp ? kHasUdp : kHasTcp));
    std::uint64_t vni = 0;
    if (is_udp && read16(l4 + 2) == kVxlanPort && at + kUdpLength + kVxlanLength <= left_ &&
        (l4[kUdpLength] & 0x08) != 0) {
      presence |= kHasVxlan;
      std::memcpy(&vni, l4 + kUdpLength + 4, 3);
      behind_vxlan = l2_ + at + kUdpLength + kVxlanLength;
    }
    words[7] = fragment | presence << 16 | vni << 32;
    std::memcpy(&fields, words.data(), sizeof(fields));
    offsets = {static_cast<std::uint16_t>(l2_), static_cast<std::uint16_t>(l2_ + kEthernetLength),
               static_cast<std::uint16_t>(l2_ + at)};
    return true;
  }

  const std::uint8_t* frame_;
  std::uint32_t left_;
  std::uint32_t l2_;
};
static_assert(std::endian::native == std::endian::little);

// Offset behind a VXLAN header, 0 if there is none.
std::uint32_t read_layer(const std::uint8_t* data, std::uint32_t length, std::uint32_t l2,
                         LayerFields& fields, LayerOffsets& offsets) {
  std::uint32_t behind_vxlan = 0;
  if (UsualLayer(data, length, l2).read(fields, offsets, behind_vxlan)) return behind_vxlan;
  fields = {};
  offsets = {};
  return LayerReader(data, length, fields, offsets).read(l2);
}

}  // namespace

void parse(const std::uint8_t* data, std::uint32_t length, PortIndex port, ParsedPacket& out) {
  const std::uint32_t inner = read_layer(data, length, 0, out.fields.outer, out.outer);
  if (inner != 0) {
    read_layer(data, length, inner, out.fields.inner, out.inner);
  } else {
    out.fields.inner = {};
  }
  out.fields.port = port;
  out.fields.reserved = 0;
  out.fields.tags = {};
  out.fields.color = 0;
}

}  // namespace berth::soft
