#include "dataplane/rule_text.h"

#include "dataplane/wire_numbers.h"

#include <bit>
#include <iterator>

#include <fmt/format.h>

namespace berth::dataplane {
namespace {

std::string field_pair(std::string_view name, const IpPrefix& prefix) {
  if (prefix.length() == 8U * prefix.address().bytes().size())
    return fmt::format(" {} is {}", name, prefix.address());
  return fmt::format(" {0} spec {1} {0} prefix {2}", name, prefix.address(), prefix.length());
}

std::string field_pair(std::string_view name, const PortMask& port) {
  if (port.mask == 0xFFFF) return fmt::format(" {} is {}", name, port.value);
  return fmt::format(" {0} spec {1} {0} prefix {2}", name, port.value, std::popcount(port.mask));
}

std::string ethernet_item(const Match& match) {
  std::string text = "eth";
  if (match.eth_src) text += fmt::format(" src is {}", *match.eth_src);
  if (match.eth_dst) text += fmt::format(" dst is {}", *match.eth_dst);
  if (match.ether_type) text += fmt::format(" type is 0x{:04x}", *match.ether_type);
  if (match.untagged) text += " has_vlan is 0";
  return text + " / ";
}

std::string ip_item(const Match& match) {
  const bool is_v4 = match.ip == IpFamily::kV4;
  std::string text = is_v4 ? "ipv4" : "ipv6";
  if (match.ip_src) text += field_pair("src", *match.ip_src);
  if (match.ip_dst) text += field_pair("dst", *match.ip_dst);
  if (match.unfragmented)
    text += is_v4 ? " fragment_offset spec 0 fragment_offset mask 0x3fff" : " has_frag_ext is 0";
  if (match.ip_protocol) text += fmt::format(" proto is {}", *match.ip_protocol);
  return text + " / ";
}

std::string l4_item(const Match& match) {
  std::string text = match.ip_protocol == kProtocolTcp ? "tcp" : "udp";
  if (match.l4_src) text += field_pair("src", *match.l4_src);
  if (match.l4_dst) text += field_pair("dst", *match.l4_dst);
  return text + " / ";
}

std::string format_pattern(const Match& match, const PortNumbering& number_of) {
  std::string text = "represented_port";  // without a port: packets of every port
  if (match.source) text += fmt::format(" ethdev_port_id is {}", number_of(*match.source));
  text += " / ";
  if (match.tag) text += fmt::format("tag data is {} index is 0 / ", *match.tag);
  if (match.policy_tag) text += fmt::format("tag data is {} index is 1 / ", *match.policy_tag);
  if (match.ip || match.eth_src || match.eth_dst || match.ether_type || match.untagged)
    text += ethernet_item(match);
  if (match.ip) text += ip_item(match);
  if (match.l4_src || match.l4_dst) text += l4_item(match);
  if (match.icmpv6_type) text += fmt::format("icmp6 type is {} / ", *match.icmpv6_type);
  if (match.vni) text += fmt::format("vxlan vni is {} / ", *match.vni);
  return text + "end";
}

// modify_field takes the bytes of an immediate value as hexadecimal digits.
std::string hex(std::span<const std::uint8_t> bytes) {
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

std::string set_tag(unsigned index, std::uint32_t value) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 4>>(value);  // host byte order, as TAG items
  return fmt::format("modify_field op set dst_type tag dst_level {} src_type value src_value {} width 32 / ",
                     index, hex(bytes));
}

std::string format_actions(const Actions& actions, const PortNumbering& number_of) {
  std::string text;
  if (actions.decap) text += "vxlan_decap / ";
  if (actions.count) text += "count / ";
  if (actions.meter) text += fmt::format("meter mtr_id {} / ", meter_id(*actions.meter, number_of));
  if (actions.set_tag) text += set_tag(0, *actions.set_tag);
  if (actions.set_policy_tag) text += set_tag(1, *actions.set_policy_tag);
  if (actions.set_eth_dst) {
    text += fmt::format("modify_field op set dst_type mac_dst src_type value src_value {} width 48 / ",
                        hex(actions.set_eth_dst->bytes));
  }
  if (actions.encap) text += "vxlan_encap / ";
  if (const auto* jump = std::get_if<JumpTo>(&actions.fate))
    text += fmt::format("jump group {} / ", jump->group);
  if (std::holds_alternative<Drop>(actions.fate)) text += "drop / ";
  if (const auto* deliver = std::get_if<Deliver>(&actions.fate)) {
    text += fmt::format("represented_port ethdev_port_id {} / ", number_of(deliver->port));
  }
  return text + "end";
}

std::string format_encap(const VxlanEncap& encap) {
  return fmt::format(
      "set vxlan ip-version {} vni {} udp-src 0 udp-dst {} ip-src {} ip-dst {} eth-src {} eth-dst {}\n",
      encap.ip_dst.is_v4() ? "ipv4" : "ipv6", encap.vni, kVxlanUdpPort, encap.ip_src, encap.ip_dst,
      encap.eth_src, encap.eth_dst);
}

}  // namespace

std::string format_rule_body(const Rule& rule, const PortNumbering& number_of) {
  return fmt::format("group {} priority {} pattern {} actions {}", rule.key.group, rule.key.priority,
                     format_pattern(rule.key.match, number_of), format_actions(rule.actions, number_of));
}

std::string format_rule(const Rule& rule, const PortNumbering& number_of) {
  return fmt::format("{}flow create {} transfer {}",
                     rule.actions.encap ? format_encap(*rule.actions.encap) : "",
                     number_of(EswitchPort::uplink()), format_rule_body(rule, number_of));
}

// A single rate, and nothing beyond the committed burst: what exceeds it is red.
std::string format_meter(const Meter& meter, const PortNumbering& number_of) {
  const auto proxy = number_of(EswitchPort::uplink());
  const auto id = meter_id(meter, number_of);
  return fmt::format(
      "add port meter profile srtcm_rfc2697 {0} {1} {2} {3} 0 {4}\n"
      "add port meter policy {0} {1} g_actions end y_actions end r_actions drop / end\n"
      "create port meter {0} {1} {1} {1} yes 0 1 g 0\n",
      proxy, id, meter.per_second, meter.burst, meter.in_packets ? 1 : 0);
}

std::uint32_t meter_id(const Meter& meter, const PortNumbering& number_of) {
  return 3U * number_of(meter.port) + static_cast<std::uint32_t>(meter.use);
}

std::uint16_t berth_numbering(EswitchPort port) {
  return port.number();
}

}  // namespace berth::dataplane
