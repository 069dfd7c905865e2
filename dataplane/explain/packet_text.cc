// Packets as people write them, and back.
#include "dataplane/explain/headers.h"
#include "dataplane/wire_numbers.h"

#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace berth::dataplane {
namespace {

using Words = std::vector<std::string_view>;

Words split(std::string_view text, std::string_view separator) {
  Words parts;
  while (true) {
    const auto at = text.find(separator);
    if (const auto part = text.substr(0, at); !part.empty() || separator != " ") parts.push_back(part);
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::unexpected<Error> malformed(std::string_view layer) {
  return fail_field("packet", "MALFORMED_PACKET", fmt::format("'{}' is not understood", layer));
}

template <typename Number>
std::optional<Number> to_number(std::string_view word) {
  Number number = 0;
  const auto [end, error] = std::from_chars(word.begin(), word.end(), number);
  if (error != std::errc() || end != word.end()) return std::nullopt;
  return number;
}

// "[SRC] [> DST]": what stands on either side of the arrow, empty if nothing does. Takes the words off.
struct Ends {
  std::string_view src;
  std::string_view dst;
};
Ends take_ends(Words& words) {
  Ends ends;
  std::size_t at = 0;
  if (at < words.size() && words[at] != ">" && words[at] != "vlan") ends.src = words[at++];
  if (at + 1 < words.size() && words[at] == ">") {
    ends.dst = words[at + 1];
    at += 2;
  }
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(at));
  return ends;
}

bool take_word(Words& words, std::string_view word) {
  if (words.empty() || words.front() != word) return false;
  words.erase(words.begin());
  return true;
}

class PacketReader {
 public:
  PacketReader(Words layers, const PacketDefaults& defaults)
      : layers_(std::move(layers)), defaults_(defaults) {}

  Result<Headers> read() {
    Headers headers{.eth_src = defaults_.eth_src, .eth_dst = defaults_.eth_dst};
    while (at_ < layers_.size()) {
      const std::string_view layer = layers_[at_++];
      Words words = split(layer, " ");
      if (words.empty()) return malformed(layer);
      const std::string_view kind = words.front();
      words.erase(words.begin());
      if (!take(kind, words, headers) || !words.empty()) return malformed(layer);
      if (kind == "vxlan") {
        auto inner = read();
        if (!inner) return inner;
        headers.inner = std::make_shared<const Headers>(*std::move(inner));
        return headers;
      }
    }
    return headers;
  }

 private:
  bool take(std::string_view kind, Words& words, Headers& headers) const {
    if (kind == "eth") return take_ethernet(words, headers);
    if (kind == "arp") return take_arp(headers);
    if (kind == "ipv4" || kind == "ipv6") return take_ip(kind == "ipv4", words, headers);
    if (!headers.ip) return false;
    if (kind == "udp" || kind == "tcp") return take_l4(kind == "udp", words, headers);
    if (kind == "icmp" || kind == "icmp6") return take_icmp(kind == "icmp", words, headers);
    if (kind == "proto") return take_protocol(words, headers);
    return kind == "vxlan" && take_vxlan(words, headers);
  }

  bool take_ethernet(Words& words, Headers& headers) const {
    const Ends ends = take_ends(words);
    for (const auto& [text, mac] :
         {std::pair{ends.src, &headers.eth_src}, std::pair{ends.dst, &headers.eth_dst}}) {
      if (text.empty()) continue;
      const auto parsed = MacAddress::parse("packet", text);
      if (!parsed) return false;
      *mac = *parsed;
    }
    headers.has_vlan = take_word(words, "vlan");
    return true;
  }

  static bool take_arp(Headers& headers) {
    headers.ether_type = kEtherTypeArp;
    return true;
  }

  bool take_ip(bool is_v4, Words& words, Headers& headers) const {
    const Ends ends = take_ends(words);
    const auto& own = is_v4 ? defaults_.ipv4_src : defaults_.ipv6_src;
    const auto src = ends.src.empty() ? own : parse_ip(ends.src);
    const auto dst = parse_ip(ends.dst);
    if (!src || !dst || src->is_v4() != is_v4 || dst->is_v4() != is_v4) return false;
    headers.ether_type = is_v4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
    headers.ip = Headers::Ip{.src = *src, .dst = *dst, .is_fragment = take_word(words, "fragment")};
    return true;
  }
  static std::optional<IpAddress> parse_ip(std::string_view text) {
    const auto ip = IpAddress::parse("packet", text);
    return ip ? std::optional(*ip) : std::nullopt;
  }

  static bool take_l4(bool is_udp, Words& words, Headers& headers) {
    const Ends ends = take_ends(words);
    const auto src = to_number<std::uint16_t>(ends.src);
    const auto dst = to_number<std::uint16_t>(ends.dst);
    if (!src || !dst) return false;
    headers.ip->protocol = is_udp ? kProtocolUdp : kProtocolTcp;
    headers.ports = Headers::Ports{*src, *dst};
    return true;
  }

  static bool take_icmp(bool is_v4, Words& words, Headers& headers) {
    constexpr std::uint8_t kEcho = 8;
    constexpr std::uint8_t kEchoIpv6 = 128;
    headers.ip->protocol = is_v4 ? kProtocolIcmp : kProtocolIcmpv6;
    headers.icmp_type = is_v4 ? kEcho : kEchoIpv6;
    if (words.empty()) return true;
    headers.icmp_type = to_number<std::uint8_t>(words.front());
    words.erase(words.begin());
    return headers.icmp_type.has_value();
  }

  static bool take_protocol(Words& words, Headers& headers) {
    const auto number = words.empty() ? std::nullopt : to_number<std::uint8_t>(words.front());
    if (!number) return false;
    words.erase(words.begin());
    headers.ip->protocol = *number;
    return true;
  }

  static bool take_vxlan(Words& words, Headers& headers) {
    const auto number = words.empty() ? std::nullopt : to_number<std::uint32_t>(words.front());
    if (!number || *number > Vni::kMax || !headers.ports || headers.ip->protocol != kProtocolUdp)
      return false;
    words.erase(words.begin());
    headers.vni = Vni::trusted(*number);
    return true;
  }

  Words layers_;
  const PacketDefaults& defaults_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Headers> parse_packet_text(std::string_view text, const PacketDefaults& defaults) {
  return PacketReader(split(text, " / "), defaults).read();
}

std::string format_packet(const Headers& packet) {
  std::string text =
      fmt::format("eth {} > {}{}", packet.eth_src, packet.eth_dst, packet.has_vlan ? " vlan" : "");
  if (packet.ether_type == kEtherTypeArp) return text + " / arp";
  if (!packet.ip) return text;
  const bool is_v4 = packet.ip->src.is_v4();
  text += fmt::format(" / {} {} > {}{}", is_v4 ? "ipv4" : "ipv6", packet.ip->src, packet.ip->dst,
                      packet.ip->is_fragment ? " fragment" : "");
  if (packet.ports) {
    text += fmt::format(" / {} {} > {}", packet.ip->protocol == kProtocolUdp ? "udp" : "tcp",
                        packet.ports->src, packet.ports->dst);
  } else if (packet.icmp_type) {
    text += fmt::format(" / {} {}", is_v4 ? "icmp" : "icmp6", *packet.icmp_type);
  } else {
    text += fmt::format(" / proto {}", packet.ip->protocol);
  }
  if (packet.vni && packet.inner)
    text += fmt::format(" / vxlan {} / {}", *packet.vni, format_packet(*packet.inner));
  return text;
}

}  // namespace berth::dataplane
