#include "dataplane/soft/rule_text.h"

#include <arpa/inet.h>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include <rte_byteorder.h>

namespace berth::soft {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string format_mac(const std::uint8_t* mac) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text.data();
}

std::string format_ip(const std::uint8_t* address, bool is_v6) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v6 ? AF_INET6 : AF_INET, address, text.data(), text.size());
  return text.data();
}

std::string format_number(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return std::to_string(value);
}

std::string format_hex(Bytes bytes) {
  std::string text = "0x";
  for (std::uint8_t byte : bytes) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", byte);
    text += digits.data();
  }
  return text;
}

enum class Kind : std::uint8_t { kNumber, kMac, kIpv4, kIpv6 };

std::string format_value(const std::uint8_t* bytes, std::size_t count, Kind kind) {
  switch (kind) {
    case Kind::kMac:
      return format_mac(bytes);
    case Kind::kIpv4:
      return format_ip(bytes, false);
    case Kind::kIpv6:
      return format_ip(bytes, true);
    case Kind::kNumber:
      break;
  }
  return format_number(bytes, count);
}

// One layer's items, read back from key and mask.
class LayerText {
 public:
  LayerText(const LayerFields& key, const LayerFields& mask)
      : key_(reinterpret_cast<const std::uint8_t*>(&key)),
        mask_(reinterpret_cast<const std::uint8_t*>(&mask)),
        has_(key.presence & mask.presence),
        asks_(mask.presence) {}

  std::string text() {
    if (asks_ == 0) return {};
    const bool has_vlan_item = (asks_ & kHasMoreVlan) != 0;
    item("eth");
    field("dst", offsetof(LayerFields, dst_mac), 6, Kind::kMac);
    field("src", offsetof(LayerFields, src_mac), 6, Kind::kMac);
    if (!has_vlan_item) {
      field("type", offsetof(LayerFields, ether_type), 2);
      flag("has_vlan", kHasVlan);
    } else {
      item("vlan");
      field("tci", offsetof(LayerFields, vlan_tci), 2);
      field("inner_type", offsetof(LayerFields, ether_type), 2);
      flag("has_more_vlan", kHasMoreVlan);
    }
    if ((has_ & kHasIpv4) != 0) ipv4();
    if ((has_ & kHasIpv6) != 0) ipv6();
    if ((has_ & (kHasUdp | kHasTcp)) != 0) ports();
    if ((has_ & (kHasIcmp | kHasIcmp6)) != 0) icmp();
    if ((has_ & kHasVxlan) != 0) {
      item("vxlan");
      field("vni", offsetof(LayerFields, vni), 3);
    }
    return text_;
  }

 private:
  void ipv4() {
    item("ipv4");
    common_ip("ttl", "tos");
    field("fragment_offset", offsetof(LayerFields, fragment), 2);
    field("src", kIpv4Source, 4, Kind::kIpv4);
    field("dst", kIpv4Destination, 4, Kind::kIpv4);
  }

  void ipv6() {
    item("ipv6");
    common_ip("hop", "tc");
    field("src", kIpv6Source, 16, Kind::kIpv6);
    field("dst", kIpv6Destination, 16, Kind::kIpv6);
    flag("has_frag_ext", kHasFragmentHeader);
  }

  void common_ip(const char* ttl, const char* tos) {
    field("proto", offsetof(LayerFields, protocol), 1);
    field(ttl, offsetof(LayerFields, ttl), 1);
    field(tos, offsetof(LayerFields, tos), 1);
  }

  void ports() {
    item((has_ & kHasUdp) != 0 ? "udp" : "tcp");
    field("src", offsetof(LayerFields, src_port), 2);
    field("dst", offsetof(LayerFields, dst_port), 2);
    field("flags", offsetof(LayerFields, tcp_flags), 1);
  }

  void icmp() {
    item((has_ & kHasIcmp) != 0 ? "icmp" : "icmp6");
    field("type", offsetof(LayerFields, src_port), 1);
    field("code", offsetof(LayerFields, src_port) + 1, 1);
  }

  void item(const char* name) {
    text_ += " / ";
    text_ += name;
  }

  void flag(const char* name, Presence bit) {
    if ((asks_ & bit) == 0) return;
    text_ += std::string(" ") + name + " is " + ((has_ & bit) != 0 ? "1" : "0");
  }

  void field(const std::string& name, std::size_t at, std::size_t bytes, Kind kind = Kind::kNumber) {
    const std::uint8_t* mask = mask_ + at;
    std::size_t bits = 0;
    for (std::size_t i = 0; i < bytes; ++i) bits += static_cast<std::size_t>(std::popcount(mask[i]));
    if (bits == 0) return;
    const std::string value = format_value(key_ + at, bytes, kind);
    if (bits == bytes * 8) {
      text_ += " " + name + " is " + value;
    } else {
      text_ += " " + name + " spec " + value + " " + name + " mask " + format_value(mask, bytes, kind);
    }
  }

  const std::uint8_t* key_;
  const std::uint8_t* mask_;
  std::uint16_t has_;
  std::uint16_t asks_;
  std::string text_;
};

std::string_view modify_name(ModifyField field, bool is_tcp) {
  switch (field) {
    case ModifyField::kSourceMac:
      return "mac_src";
    case ModifyField::kDestinationMac:
      return "mac_dst";
    case ModifyField::kIpv4Source:
      return "ipv4_src";
    case ModifyField::kIpv4Destination:
      return "ipv4_dst";
    case ModifyField::kIpv4Ttl:
      return "ipv4_ttl";
    case ModifyField::kIpv6Source:
      return "ipv6_src";
    case ModifyField::kIpv6Destination:
      return "ipv6_dst";
    case ModifyField::kIpv6HopLimit:
      return "ipv6_hoplimit";
    case ModifyField::kSourcePort:
      return is_tcp ? "tcp_port_src" : "udp_port_src";
    case ModifyField::kDestinationPort:
      return is_tcp ? "tcp_port_dst" : "udp_port_dst";
    case ModifyField::kTag:
      return "tag";
  }
  return "";
}

std::string format_modify(const Modify& modify, bool is_tcp) {
  const std::string name(modify_name(modify.field, is_tcp));
  if (modify.field == ModifyField::kTag) {
    const int offset = std::countr_zero(modify.tag_mask);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&modify.tag_value);
    return "modify_field op set dst_type tag dst_level " + std::to_string(modify.tag_index) + " dst_offset " +
           std::to_string(offset) + " src_type value src_value " + format_hex({bytes, 4}) + " width " +
           std::to_string(std::popcount(modify.tag_mask));
  }
  std::size_t bytes = 1;
  switch (modify.field) {
    case ModifyField::kSourceMac:
    case ModifyField::kDestinationMac:
      bytes = 6;
      break;
    case ModifyField::kIpv4Source:
    case ModifyField::kIpv4Destination:
      bytes = 4;
      break;
    case ModifyField::kIpv6Source:
    case ModifyField::kIpv6Destination:
      bytes = 16;
      break;
    case ModifyField::kSourcePort:
    case ModifyField::kDestinationPort:
      bytes = 2;
      break;
    default:
      break;
  }
  return "modify_field op set dst_type " + name + " src_type value src_value " +
         format_hex({modify.value.data(), bytes}) + " width " + std::to_string(bytes * 8);
}

// The command that tells testpmd what vxlan_encap means.
std::string format_encap(const EncapHeader& header) {
  const std::uint8_t* data = header.data.data();
  const bool has_vlan = header.l3 > 14;
  const std::uint8_t* ip = data + header.l3;
  const std::size_t source = header.is_ipv4 ? 12 : 8;
  const std::size_t length = header.is_ipv4 ? 4 : 16;
  std::string text = has_vlan ? "set vxlan-with-vlan" : "set vxlan";
  text += std::string(" ip-version ") + (header.is_ipv4 ? "ipv4" : "ipv6");
  text += " vni " + format_number(data + header.l4 + 12, 3);
  text += " udp-src 0 udp-dst 4789";
  text += " ip-src " + format_ip(ip + source, !header.is_ipv4);
  text += " ip-dst " + format_ip(ip + source + length, !header.is_ipv4);
  if (has_vlan) text += " vlan-tci " + format_number(data + 14, 2);
  return text + " eth-src " + format_mac(data + 6) + " eth-dst " + format_mac(data);
}

}  // namespace

std::string format_pattern(const Match& match, const PortMap& ports) {
  std::string text = "represented_port";
  if (match.mask.port != 0) text += " ethdev_port_id is " + std::to_string(ports.ethdev_of(match.key.port));
  for (std::size_t i = 0; i < kTagCount; ++i) {
    if (match.mask.tags[i] == 0) continue;
    text += " / tag index is " + std::to_string(i);
    if (match.mask.tags[i] == 0xffffffff) {
      text += " data is " + std::to_string(match.key.tags[i]);
    } else {
      text += " data spec " + std::to_string(match.key.tags[i]) + " data mask " +
              std::to_string(match.mask.tags[i]);
    }
  }
  if (match.mask.color != 0) {
    static constexpr std::array kColors{"green", "yellow", "red"};
    text += std::string(" / meter_color color is ") + kColors[match.key.color];
  }
  text += LayerText(match.key.outer, match.mask.outer).text();
  return text + LayerText(match.key.inner, match.mask.inner).text() + " / end";
}

std::string format_actions(const ActionList& actions, const PortMap& ports) {
  std::string text;
  const auto add = [&text](const std::string& action) { text += action + " / "; };
  if (actions.decap) add("vxlan_decap");
  if (actions.count) add("count");
  if (actions.shared_count != nullptr) add("indirect /* count */");
  if (actions.age_seconds != 0) add("age timeout " + std::to_string(actions.age_seconds));
  if (actions.meter_id) add("meter mtr_id " + std::to_string(*actions.meter_id));
  if (actions.shared_meter != nullptr) add("indirect /* meter_mark */");
  for (const Modify& modify : actions.modifies) add(format_modify(modify, false));
  if (actions.encap) add("vxlan_encap");
  switch (actions.fate) {
    case Fate::kDrop:
      add("drop");
      break;
    case Fate::kJump:
      add("jump group " + std::to_string(actions.jump_group));
      break;
    case Fate::kPort:
      add("represented_port ethdev_port_id " + std::to_string(ports.ethdev_of(actions.port)));
      break;
  }
  return text + "end";
}

std::string format_rule(const RuleView& rule, const PortMap& ports) {
  std::string text;
  if (rule.actions.encap) text = format_encap(*rule.actions.encap) + "\n";
  return text + "flow create " + std::to_string(ports.ethdev_of(kUplink)) + " transfer group " +
         std::to_string(rule.group) + " priority " + std::to_string(rule.priority) + " pattern " +
         format_pattern(rule.match, ports) + " actions " + format_actions(rule.actions, ports);
}

}  // namespace berth::soft
