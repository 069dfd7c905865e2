#include "dataplane/soft/encap.h"

#include <cerrno>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

namespace berth::soft {
namespace {

constexpr std::uint8_t kDefaultTtl = 64;

std::uint32_t sum_words(const std::uint8_t* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, data + i, 2);
    sum += word;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// Appends header after header; every step says what may follow.
class EncapBuilder {
 public:
  RuleResult<EncapHeader> build(const rte_flow_item* definition) {
    for (const rte_flow_item* item = definition; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
      if (item->type == RTE_FLOW_ITEM_TYPE_VOID) continue;
      if (item->spec == nullptr) return bad("an encap item without a spec (HP-24)", item);
      if (RuleResult<void> added = add(*item); !added) return std::unexpected(added.error());
    }
    if (next_ != Next::kEnd) return bad("encap must be eth [vlan] ipv4|ipv6 udp vxlan (HP-24)", definition);
    return header_;
  }

 private:
  enum class Next : std::uint8_t { kEthernet, kVlanOrIp, kIp, kUdp, kVxlan, kEnd };

  static std::unexpected<RuleError> bad(const char* message, const rte_flow_item* item) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ACTION_CONF, message, item);
  }

  template <typename Header>
  void append(const Header& header) {
    std::memcpy(header_.data.data() + header_.length, &header, sizeof(header));
    header_.length = static_cast<std::uint8_t>(header_.length + sizeof(header));
  }

  // The type field of the Ethernet or VLAN header that was appended last.
  void set_type(std::uint16_t type) {
    const rte_be16_t wire = rte_cpu_to_be_16(type);
    std::memcpy(header_.data.data() + header_.length - 2, &wire, 2);
  }

  RuleResult<void> add(const rte_flow_item& item) {
    switch (item.type) {
      case RTE_FLOW_ITEM_TYPE_ETH:
        if (next_ != Next::kEthernet) break;
        append(static_cast<const rte_flow_item_eth*>(item.spec)->hdr);
        next_ = Next::kVlanOrIp;
        return {};
      case RTE_FLOW_ITEM_TYPE_VLAN:
        if (next_ != Next::kVlanOrIp) break;
        set_type(RTE_ETHER_TYPE_VLAN);
        append(static_cast<const rte_flow_item_vlan*>(item.spec)->hdr);
        next_ = Next::kIp;
        return {};
      case RTE_FLOW_ITEM_TYPE_IPV4:
        if (next_ != Next::kVlanOrIp && next_ != Next::kIp) break;
        add_ipv4(static_cast<const rte_flow_item_ipv4*>(item.spec)->hdr);
        return {};
      case RTE_FLOW_ITEM_TYPE_IPV6:
        if (next_ != Next::kVlanOrIp && next_ != Next::kIp) break;
        add_ipv6(static_cast<const rte_flow_item_ipv6*>(item.spec)->hdr);
        return {};
      case RTE_FLOW_ITEM_TYPE_UDP:
        if (next_ != Next::kUdp) break;
        return add_udp(static_cast<const rte_flow_item_udp*>(item.spec)->hdr, item);
      case RTE_FLOW_ITEM_TYPE_VXLAN:
        if (next_ != Next::kVxlan) break;
        add_vxlan(static_cast<const rte_flow_item_vxlan*>(item.spec)->hdr);
        return {};
      default:
        break;
    }
    return bad("encap must be eth [vlan] ipv4|ipv6 udp vxlan (HP-24)", &item);
  }

  void add_ipv4(rte_ipv4_hdr ip) {
    set_type(RTE_ETHER_TYPE_IPV4);
    ip.version_ihl = RTE_IPV4_VHL_DEF;
    ip.total_length = 0;
    ip.hdr_checksum = 0;
    ip.next_proto_id = IPPROTO_UDP;
    if (ip.time_to_live == 0) ip.time_to_live = kDefaultTtl;
    header_.is_ipv4 = true;
    header_.l3 = header_.length;
    append(ip);
    header_.l4 = header_.length;
    header_.partial_sum = sum_words(header_.data.data() + header_.l3, sizeof(ip));
    next_ = Next::kUdp;
  }

  void add_ipv6(rte_ipv6_hdr ip) {
    set_type(RTE_ETHER_TYPE_IPV6);
    ip.vtc_flow = (ip.vtc_flow & RTE_BE32(0x0fffffff)) | RTE_BE32(0x60000000);
    ip.payload_len = 0;
    ip.proto = IPPROTO_UDP;
    if (ip.hop_limits == 0) ip.hop_limits = kDefaultTtl;
    header_.is_ipv4 = false;
    header_.l3 = header_.length;
    append(ip);
    header_.l4 = header_.length;
    next_ = Next::kUdp;
  }

  RuleResult<void> add_udp(rte_udp_hdr udp, const rte_flow_item& item) {
    if (udp.dst_port == 0) udp.dst_port = RTE_BE16(RTE_VXLAN_DEFAULT_PORT);
    if (udp.dst_port != RTE_BE16(RTE_VXLAN_DEFAULT_PORT)) {
      return bad("the tunnel's UDP destination port must be 4789 (HP-24)", &item);
    }
    if (udp.dgram_cksum != 0) return bad("the tunnel's UDP checksum must be 0 (HP-24)", &item);
    udp.src_port = 0;
    udp.dgram_len = 0;
    append(udp);
    next_ = Next::kVxlan;
    return {};
  }

  void add_vxlan(rte_vxlan_hdr vxlan) {
    constexpr std::uint32_t kVniIsValid = 0x08000000;
    vxlan.vx_flags = rte_cpu_to_be_32(kVniIsValid);
    append(vxlan);
    next_ = Next::kEnd;
  }

  EncapHeader header_;
  Next next_ = Next::kEthernet;
};

}  // namespace

RuleResult<EncapHeader> build_encap_header(const rte_flow_item* definition) {
  return EncapBuilder().build(definition);
}

bool pop_encap(rte_mbuf& packet, ParsedPacket& parsed) {
  const std::uint16_t length = parsed.inner.l2;
  if (rte_pktmbuf_adj(&packet, length) == nullptr) return false;
  parsed.fields.outer = parsed.fields.inner;
  parsed.fields.inner = {};
  parsed.outer = {.l2 = 0,
                  .l3 = static_cast<std::uint16_t>(parsed.inner.l3 - length),
                  .l4 = static_cast<std::uint16_t>(parsed.inner.l4 - length)};
  parsed.inner = {};
  return true;
}

}  // namespace berth::soft
