#include "dataplane/rule_digest.h"

#include <span>

namespace berth::dataplane {
namespace {

// Two lanes of multiply-and-rotate over 64-bit words (the constants are those of xxHash's and splitmix64's
// public descriptions: odd, with bits all over).
class Hasher {
 public:
  void word(std::uint64_t value) {
    low_ = rotate((low_ ^ value) * 0x9E3779B185EBCA87ULL, 31);
    high_ = rotate((high_ + value) * 0xC2B2AE3D27D4EB4FULL, 29) ^ low_;
  }
  void bytes(std::span<const std::uint8_t> bytes) {
    word(bytes.size());
    std::uint64_t gathered = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      gathered = gathered << 8 | bytes[i];
      if (i % 8 == 7 || i + 1 == bytes.size()) word(std::exchange(gathered, 0));
    }
  }

  void mac(const MacAddress& mac) { bytes(mac.bytes); }
  void ip(const IpAddress& ip) { bytes(ip.bytes()); }
  void prefix(const IpPrefix& prefix) {
    ip(prefix.address());
    word(prefix.length());
  }
  void ports(const PortMask& ports) { word(std::uint64_t{ports.value} << 16 | ports.mask); }
  template <typename T>
  void number(T value) {
    word(static_cast<std::uint64_t>(value));
  }

  // Whether the field is there counts as a word of its own.
  template <typename T, typename Write>
  void optional(const std::optional<T>& field, Write write) {
    word(field ? 1 : 0);
    if (field) write(*field);
  }

  std::uint64_t low() const { return finish(low_); }
  std::uint64_t high() const { return finish(high_); }

 private:
  static std::uint64_t rotate(std::uint64_t value, int bits) { return value << bits | value >> (64 - bits); }
  static std::uint64_t finish(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ value >> 27) * 0x94D049BB133111EBULL;
    return value ^ value >> 31;
  }

  std::uint64_t low_ = 0x243F6A8885A308D3ULL;
  std::uint64_t high_ = 0x13198A2E03707344ULL;
};

void hash_match(Hasher& hasher, const Match& match) {
  const auto number = [&](auto value) { hasher.number(value); };
  const auto mac = [&](const MacAddress& value) { hasher.mac(value); };
  const auto prefix = [&](const IpPrefix& value) { hasher.prefix(value); };
  const auto ports = [&](const PortMask& value) { hasher.ports(value); };
  hasher.optional(match.source, [&](EswitchPort port) { hasher.number(port.number()); });
  hasher.optional(match.tag, number);
  hasher.optional(match.policy_tag, number);
  hasher.optional(match.eth_src, mac);
  hasher.optional(match.eth_dst, mac);
  hasher.optional(match.ether_type, number);
  hasher.number(match.untagged);
  hasher.optional(match.ip, [&](IpFamily family) { hasher.number(family == IpFamily::kV4 ? 4 : 6); });
  hasher.optional(match.ip_src, prefix);
  hasher.optional(match.ip_dst, prefix);
  hasher.number(match.unfragmented);
  hasher.optional(match.ip_protocol, number);
  hasher.optional(match.l4_src, ports);
  hasher.optional(match.l4_dst, ports);
  hasher.optional(match.icmpv6_type, number);
  hasher.optional(match.vni, [&](Vni vni) { hasher.number(vni.value()); });
}

void hash_actions(Hasher& hasher, const Actions& actions) {
  const auto number = [&](auto value) { hasher.number(value); };
  hasher.number(actions.decap);
  hasher.number(actions.count);
  hasher.optional(actions.meter, [&](const Meter& meter) {
    hasher.number(meter.port.number());
    hasher.number(meter.use);
    hasher.number(meter.in_packets);
    hasher.number(meter.per_second);
    hasher.number(meter.burst);
  });
  hasher.optional(actions.set_tag, number);
  hasher.optional(actions.set_policy_tag, number);
  hasher.optional(actions.set_eth_dst, [&](const MacAddress& mac) { hasher.mac(mac); });
  hasher.optional(actions.encap, [&](const VxlanEncap& encap) {
    hasher.mac(encap.eth_src);
    hasher.mac(encap.eth_dst);
    hasher.ip(encap.ip_src);
    hasher.ip(encap.ip_dst);
    hasher.number(encap.vni.value());
  });
  hasher.number(actions.fate.index());
  if (const auto* jump = std::get_if<JumpTo>(&actions.fate)) hasher.number(jump->group);
  if (const auto* deliver = std::get_if<Deliver>(&actions.fate)) hasher.number(deliver->port.number());
}

}  // namespace

void RuleDigests::add(const Rule& rule) {
  Hasher hasher;
  hasher.number(rule.key.priority);
  hash_match(hasher, rule.key.match);
  hash_actions(hasher, rule.actions);
  RuleDigest& digest = by_place_[{rule.owner, rule.key.group}];
  digest.owner = rule.owner;
  digest.group = rule.key.group;
  ++digest.count;
  digest.low += hasher.low();
  digest.high += hasher.high();
}

std::vector<RuleDigest> RuleDigests::list() const {
  std::vector<RuleDigest> digests;
  for (const auto& [place, digest] : by_place_) digests.push_back(digest);
  return digests;
}

}  // namespace berth::dataplane
