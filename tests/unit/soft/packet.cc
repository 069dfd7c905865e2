#include "tests/unit/soft/packet.h"

#include "dataplane/soft/parser.h"

#include <arpa/inet.h>
#include <cstring>
#include <stdexcept>

#include <rte_ether.h>

namespace berth::soft::test {
namespace {

void write16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

void put_mac(std::uint8_t* at, const std::string& text) {
  if (rte_ether_unformat_addr(text.c_str(), reinterpret_cast<rte_ether_addr*>(at)) != 0) {
    throw std::runtime_error("mac " + text);
  }
}

std::uint32_t sum16(const std::uint8_t* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; ++i) sum += static_cast<std::uint32_t>(data[i] << (i % 2 == 0 ? 8 : 0));
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// Of pseudo header and layer 4, the checksum field as it stands.
std::uint16_t l4_sum(const std::uint8_t* ip, const std::uint8_t* l4, std::size_t bytes,
                     std::uint8_t protocol) {
  const bool is_v4 = ip[0] >> 4 == 4;
  std::uint32_t sum = is_v4 ? sum16(ip + 12, 8) : sum16(ip + 8, 32);
  sum += protocol + static_cast<std::uint32_t>(bytes);
  return fold(sum + sum16(l4, bytes));
}

}  // namespace

Packet& Packet::eth(const std::string& src, const std::string& dst) {
  Bytes header(14);
  put_mac(header.data(), dst);
  put_mac(header.data() + 6, src);
  layers_.push_back({Layer::Kind::kEth, header});
  return *this;
}

Packet& Packet::vlan(std::uint16_t tci, std::uint16_t tpid) {
  Bytes header(4);
  write16(header, 0, tci);
  vlan_tpid_ = tpid;
  layers_.push_back({Layer::Kind::kVlan, header});
  return *this;
}

Packet& Packet::arp() {
  layers_.push_back({Layer::Kind::kArp, Bytes(28)});
  return *this;
}

Packet& Packet::ipv4(const std::string& src, const std::string& dst, std::uint8_t ttl,
                     std::uint16_t fragment) {
  Bytes header(20);
  header[0] = 0x45;
  write16(header, 6, fragment);
  header[8] = ttl;
  inet_pton(AF_INET, src.c_str(), header.data() + 12);
  inet_pton(AF_INET, dst.c_str(), header.data() + 16);
  layers_.push_back({Layer::Kind::kIpv4, header});
  return *this;
}

Packet& Packet::ipv6(const std::string& src, const std::string& dst) {
  Bytes header(40);
  header[0] = 0x60;
  header[7] = 64;
  inet_pton(AF_INET6, src.c_str(), header.data() + 8);
  inet_pton(AF_INET6, dst.c_str(), header.data() + 24);
  layers_.push_back({Layer::Kind::kIpv6, header});
  return *this;
}

Packet& Packet::ipv6_fragment(std::uint16_t offset_and_more) {
  Bytes header(8);
  write16(header, 2, offset_and_more);
  layers_.push_back({Layer::Kind::kFragment, header});
  return *this;
}

Packet& Packet::udp(std::uint16_t src, std::uint16_t dst) {
  Bytes header(8);
  write16(header, 0, src);
  write16(header, 2, dst);
  layers_.push_back({Layer::Kind::kUdp, header});
  return *this;
}

Packet& Packet::tcp(std::uint16_t src, std::uint16_t dst, std::uint8_t flags) {
  Bytes header(20);
  write16(header, 0, src);
  write16(header, 2, dst);
  header[12] = 0x50;
  header[13] = flags;
  layers_.push_back({Layer::Kind::kTcp, header});
  return *this;
}

Packet& Packet::icmp(std::uint8_t type, std::uint8_t code) {
  layers_.push_back({Layer::Kind::kIcmp, {type, code, 0, 0, 0, 0, 0, 0}});
  return *this;
}

Packet& Packet::icmp6(std::uint8_t type, std::uint8_t code) {
  layers_.push_back({Layer::Kind::kIcmp6, {type, code, 0, 0, 0, 0, 0, 0}});
  return *this;
}

Packet& Packet::vxlan(std::uint32_t vni) {
  layers_.push_back({Layer::Kind::kVxlan,
                     {0x08, 0, 0, 0, static_cast<std::uint8_t>(vni >> 16),
                      static_cast<std::uint8_t>(vni >> 8), static_cast<std::uint8_t>(vni), 0}});
  return *this;
}

Packet& Packet::payload(std::size_t bytes) {
  Bytes data(bytes);
  for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::uint8_t>(i);
  layers_.push_back({Layer::Kind::kPayload, data});
  return *this;
}

std::uint16_t Packet::ether_type(Layer::Kind kind) {
  switch (kind) {
    case Layer::Kind::kIpv4:
      return 0x0800;
    case Layer::Kind::kIpv6:
      return 0x86dd;
    case Layer::Kind::kArp:
      return 0x0806;
    default:
      return 0x88b5;  // local experimental
  }
}

std::uint8_t Packet::protocol(Layer::Kind kind) {
  switch (kind) {
    case Layer::Kind::kUdp:
      return 17;
    case Layer::Kind::kTcp:
      return 6;
    case Layer::Kind::kIcmp:
      return 1;
    case Layer::Kind::kIcmp6:
      return 58;
    case Layer::Kind::kFragment:
      return 44;
    default:
      return 253;  // experimental
  }
}

Bytes Packet::bytes() const {
  std::vector<Layer> layers = layers_;
  Bytes behind;  // everything after the layer at hand, from the back to the front
  for (std::size_t i = layers.size(); i-- > 0;) {
    Layer& layer = layers[i];
    const Layer::Kind next = i + 1 < layers.size() ? layers[i + 1].kind : Layer::Kind::kPayload;
    Bytes& header = layer.header;
    switch (layer.kind) {
      case Layer::Kind::kEth:
        write16(header, 12, next == Layer::Kind::kVlan ? vlan_tpid_ : ether_type(next));
        break;
      case Layer::Kind::kVlan:
        write16(header, 2, next == Layer::Kind::kVlan ? vlan_tpid_ : ether_type(next));
        break;
      case Layer::Kind::kFragment:
        header[0] = protocol(next);
        break;
      case Layer::Kind::kIpv4:
      case Layer::Kind::kIpv6: {
        const bool is_v4 = layer.kind == Layer::Kind::kIpv4;
        header[is_v4 ? 9 : 6] = protocol(next);
        write16(header, is_v4 ? 2 : 4, behind.size() + (is_v4 ? 20 : 0));
        if (is_v4) write16(header, 10, static_cast<std::uint16_t>(~fold(sum16(header.data(), 20))));
        const bool before_vxlan =
            i + 2 < layers.size() && layers[i + 2].kind == Layer::Kind::kVxlan && next == Layer::Kind::kUdp;
        const std::size_t at = next == Layer::Kind::kUdp     ? 6
                               : next == Layer::Kind::kTcp   ? 16
                               : next == Layer::Kind::kIcmp6 ? 2
                                                             : 0;
        if (at != 0 && !before_vxlan) {
          const std::uint16_t sum = l4_sum(header.data(), behind.data(), behind.size(), protocol(next));
          write16(behind, at, static_cast<std::uint16_t>(~sum));
        }
        break;
      }
      case Layer::Kind::kUdp:
        write16(header, 4, behind.size() + 8);
        break;
      default:
        break;
    }
    behind.insert(behind.begin(), header.begin(), header.end());
  }
  return behind;
}

std::string checksum_fault(const Bytes& packet) {
  ParsedPacket parsed;
  parse(packet.data(), static_cast<std::uint32_t>(packet.size()), 0, parsed);
  const auto check = [&packet](const LayerFields& fields, const LayerOffsets& offsets) -> std::string {
    const std::uint8_t* ip = packet.data() + offsets.l3;
    const bool is_v4 = (fields.presence & kHasIpv4) != 0;
    if (is_v4 && fold(sum16(ip, 20)) != 0xffff) return "IPv4 header checksum";
    const std::size_t length =
        static_cast<std::size_t>(is_v4 ? ip[2] << 8 | ip[3] : 40 + (ip[4] << 8 | ip[5]));
    if ((fields.presence & (kHasUdp | kHasTcp | kHasIcmp6)) == 0) return {};
    const std::uint8_t* l4 = packet.data() + offsets.l4;
    if ((fields.presence & kHasUdp) != 0 && l4[6] == 0 && l4[7] == 0) return {};
    const std::size_t bytes = length - static_cast<std::size_t>(offsets.l4 - offsets.l3);
    return l4_sum(ip, l4, bytes, fields.protocol) == 0xffff ? "" : "layer-4 checksum";
  };
  std::string fault;
  if ((parsed.fields.outer.presence & (kHasIpv4 | kHasIpv6)) != 0)
    fault = check(parsed.fields.outer, parsed.outer);
  if (fault.empty() && (parsed.fields.inner.presence & (kHasIpv4 | kHasIpv6)) != 0) {
    fault = check(parsed.fields.inner, parsed.inner);
  }
  return fault;
}

}  // namespace berth::soft::test
