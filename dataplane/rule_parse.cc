#include "dataplane/rule_parse.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace berth::dataplane {
namespace {

// What a word should have been; thrown away from parse_rules() on.
struct Unexpected {
  std::string what;
};

// The words of one line. Every take fails by exception, so that the grammar below reads as a grammar.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  bool is_empty() {
    skip_blanks();
    return rest_.empty();
  }
  std::string_view peek() {
    skip_blanks();
    return rest_.substr(0, rest_.find(' '));
  }
  std::string_view take() {
    const std::string_view word = peek();
    if (word.empty()) throw Unexpected{"the line ends too early"};
    rest_.remove_prefix(word.size());
    return word;
  }
  bool take_if(std::string_view word) {
    if (peek() != word) return false;
    (void)take();
    return true;
  }
  void expect(std::string_view words) {
    for (Words wanted(words); !wanted.is_empty();) {
      const std::string_view word = wanted.take();
      if (is_empty()) throw Unexpected{fmt::format("the line ends where '{}' should be", word)};
      if (!take_if(word)) throw Unexpected{fmt::format("'{}' where '{}' should be", peek(), word)};
    }
  }
  template <typename Number>
  Number number(int base = 10) {
    const std::string_view word = take();
    Number value = 0;
    const auto [end, error] = std::from_chars(word.begin(), word.end(), value, base);
    if (error != std::errc() || end != word.end())
      throw Unexpected{fmt::format("'{}' is not a number", word)};
    return value;
  }
  template <typename Value>
  Value parsed() {
    const auto value = Value::parse("rule", take());
    if (!value) throw Unexpected{value.error().message};
    return *value;
  }

 private:
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
  std::string_view rest_;
};

// The bytes of an immediate value, as hexadecimal digits.
template <std::size_t kSize>
std::array<std::uint8_t, kSize> bytes_of(std::string_view digits) {
  std::array<std::uint8_t, kSize> bytes{};
  if (digits.size() != 2 * kSize) throw Unexpected{fmt::format("'{}' is not {} bytes", digits, kSize)};
  for (std::size_t i = 0; i < kSize; ++i) bytes[i] = Words(digits.substr(2 * i, 2)).number<std::uint8_t>(16);
  return bytes;
}

class RuleReader {
 public:
  explicit RuleReader(const PortLookup& lookup) : lookup_(lookup) {}

  void take_line(std::string_view line) {
    Words words(line);
    if (words.is_empty() || words.peek().starts_with('#')) return;
    if (words.take_if("set")) {
      take_encap(words);
    } else if (words.take_if("add")) {
      take_meter_part(words);
    } else if (words.take_if("create")) {
      return;  // `create port meter`: the profile said it all
    } else {
      words.expect("flow create");
      (void)port(words);
      words.expect("transfer");
      take_rule(words);
    }
  }
  std::vector<Rule> take_rules() { return std::move(rules_); }

 private:
  EswitchPort port(Words& words) const {
    const auto number = words.number<std::uint16_t>();
    const auto found = lookup_(number);
    if (!found) throw Unexpected{fmt::format("port {} is not of this eSwitch", number)};
    return *found;
  }

  void take_encap(Words& words) {
    words.expect("vxlan ip-version");
    if (!words.take_if("ipv4")) words.expect("ipv6");
    words.expect("vni");
    VxlanEncap encap;
    encap.vni = Vni::trusted(words.number<std::uint32_t>());
    words.expect("udp-src 0 udp-dst 4789 ip-src");
    encap.ip_src = words.parsed<IpAddress>();
    words.expect("ip-dst");
    encap.ip_dst = words.parsed<IpAddress>();
    words.expect("eth-src");
    encap.eth_src = words.parsed<MacAddress>();
    words.expect("eth-dst");
    encap.eth_dst = words.parsed<MacAddress>();
    encap_ = encap;
  }

  void take_meter_part(Words& words) {
    words.expect("port meter");
    if (words.take_if("policy")) return;  // red is dropped: the only policy there is
    words.expect("profile srtcm_rfc2697");
    (void)port(words);
    const auto id = words.number<std::uint32_t>();
    const auto owner = lookup_(static_cast<std::uint16_t>(id / 3));
    if (!owner) throw Unexpected{fmt::format("meter {} is not of a port of this eSwitch", id)};
    Meter meter{.port = *owner, .use = static_cast<Meter::Use>(id % 3)};
    meter.per_second = words.number<std::uint64_t>();
    meter.burst = words.number<std::uint64_t>();
    words.expect("0");
    meter.in_packets = words.number<unsigned>() != 0;
    meters_.insert_or_assign(id, meter);
  }

  void take_rule(Words& words) {
    Rule rule;
    words.expect("group");
    rule.key.group = words.number<std::uint16_t>();
    words.expect("priority");
    rule.key.priority = words.number<std::uint32_t>();
    words.expect("pattern");
    while (!words.take_if("end")) {
      take_item(words, rule.key.match);
      words.expect("/");
    }
    words.expect("actions");
    while (!words.take_if("end")) {
      take_action(words, rule.actions);
      words.expect("/");
    }
    if (!words.is_empty()) throw Unexpected{fmt::format("'{}' behind the rule", words.peek())};
    rules_.push_back(rule);
  }

  void take_item(Words& words, Match& match) const {
    const std::string_view item = words.take();
    if (item == "represented_port") {
      if (words.take_if("ethdev_port_id")) {
        words.expect("is");
        match.source = port(words);
      }
    } else if (item == "tag") {
      words.expect("data is");
      const auto data = words.number<std::uint32_t>();
      words.expect("index is");
      (words.number<unsigned>() == 0 ? match.tag : match.policy_tag) = data;
    } else if (item == "eth") {
      take_ethernet(words, match);
    } else if (item == "ipv4" || item == "ipv6") {
      take_ip(words, item == "ipv4" ? IpFamily::kV4 : IpFamily::kV6, match);
    } else if (item == "udp" || item == "tcp") {
      if (words.take_if("src")) match.l4_src = port_mask(words, "src");
      if (words.take_if("dst")) match.l4_dst = port_mask(words, "dst");
    } else if (item == "icmp6") {
      words.expect("type is");
      match.icmpv6_type = words.number<std::uint8_t>();
    } else if (item == "vxlan") {
      words.expect("vni is");
      match.vni = Vni::trusted(words.number<std::uint32_t>());
    } else {
      throw Unexpected{fmt::format("'{}' is no item", item)};
    }
  }

  static void take_ethernet(Words& words, Match& match) {
    if (words.take_if("src")) {
      words.expect("is");
      match.eth_src = words.parsed<MacAddress>();
    }
    if (words.take_if("dst")) {
      words.expect("is");
      match.eth_dst = words.parsed<MacAddress>();
    }
    if (words.take_if("type")) {
      words.expect("is");
      const std::string_view type = words.take();
      if (!type.starts_with("0x")) throw Unexpected{fmt::format("'{}' is no type", type)};
      match.ether_type = Words(type.substr(2)).number<std::uint16_t>(16);
    }
    if (words.take_if("has_vlan")) {
      words.expect("is 0");
      match.untagged = true;
    }
  }

  static void take_ip(Words& words, IpFamily family, Match& match) {
    match.ip = family;
    if (words.take_if("src")) match.ip_src = prefix(words, "src");
    if (words.take_if("dst")) match.ip_dst = prefix(words, "dst");
    if (words.take_if("fragment_offset")) {
      words.expect("spec 0 fragment_offset mask 0x3fff");
      match.unfragmented = true;
    }
    if (words.take_if("has_frag_ext")) {
      words.expect("is 0");
      match.unfragmented = true;
    }
    if (words.take_if("proto")) {
      words.expect("is");
      match.ip_protocol = words.number<std::uint8_t>();
    }
  }

  static IpPrefix prefix(Words& words, std::string_view field) {
    if (words.take_if("is")) return IpPrefix::host(words.parsed<IpAddress>());
    words.expect("spec");
    const std::string_view address = words.take();
    words.expect(field);
    words.expect("prefix");
    const auto parsed = IpPrefix::parse("rule", fmt::format("{}/{}", address, words.take()));
    if (!parsed) throw Unexpected{parsed.error().message};
    return *parsed;
  }

  static PortMask port_mask(Words& words, std::string_view field) {
    if (words.take_if("is")) return {words.number<std::uint16_t>(), 0xFFFF};
    words.expect("spec");
    const auto value = words.number<std::uint16_t>();
    words.expect(field);
    words.expect("prefix");
    const auto bits = words.number<unsigned>();
    if (bits > 16) throw Unexpected{fmt::format("a port has no {} bits", bits)};
    return {value, static_cast<std::uint16_t>(0xFFFF0000U >> bits)};
  }

  void take_action(Words& words, Actions& actions) const {
    const std::string_view action = words.take();
    if (action == "vxlan_decap") {
      actions.decap = true;
    } else if (action == "count") {
      actions.count = true;
    } else if (action == "meter") {
      words.expect("mtr_id");
      const auto meter = meters_.find(words.number<std::uint32_t>());
      if (meter == meters_.end()) throw Unexpected{"the meter's profile is not among the lines before"};
      actions.meter = meter->second;
    } else if (action == "modify_field") {
      take_modification(words, actions);
    } else if (action == "vxlan_encap") {
      if (!encap_) throw Unexpected{"vxlan_encap without a `set vxlan` line before"};
      actions.encap = encap_;
    } else if (action == "jump") {
      words.expect("group");
      actions.fate = JumpTo{words.number<std::uint16_t>()};
    } else if (action == "drop") {
      actions.fate = Drop{};
    } else if (action == "represented_port") {
      words.expect("ethdev_port_id");
      actions.fate = Deliver{port(words)};
    } else {
      throw Unexpected{fmt::format("'{}' is no action", action)};
    }
  }

  static void take_modification(Words& words, Actions& actions) {
    words.expect("op set dst_type");
    const bool is_tag = words.take_if("tag");
    if (!is_tag) {
      words.expect("mac_dst src_type value src_value");
      actions.set_eth_dst = MacAddress{bytes_of<6>(words.take())};
      words.expect("width 48");
      return;
    }
    words.expect("dst_level");
    const auto index = words.number<unsigned>();
    words.expect("src_type value src_value");
    const auto value = std::bit_cast<std::uint32_t>(bytes_of<4>(words.take()));  // host byte order
    (index == 0 ? actions.set_tag : actions.set_policy_tag) = value;
    words.expect("width 32");
  }

  const PortLookup& lookup_;
  std::optional<VxlanEncap> encap_;
  std::map<std::uint32_t, Meter> meters_;
  std::vector<Rule> rules_;
};

}  // namespace

std::optional<EswitchPort> berth_lookup(std::uint16_t number) {
  if (number == 0) return EswitchPort::uplink();
  return EswitchPort::function(static_cast<std::uint16_t>(number - 1));
}

Result<std::vector<Rule>> parse_rules(std::string_view text, const PortLookup& lookup) {
  RuleReader reader(lookup);
  std::size_t line_number = 1;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    try {
      reader.take_line(text.substr(0, end));
    } catch (const Unexpected& unexpected) {
      return fail(Code::kInvalidArgument, "MALFORMED_RULE",
                  fmt::format("line {}: {}", line_number, unexpected.what));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
  }
  return reader.take_rules();
}

}  // namespace berth::dataplane
