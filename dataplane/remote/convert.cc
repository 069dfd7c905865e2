#include "dataplane/remote/convert.h"

#include "dataplane/remote/bytes.h"

#include <algorithm>
#include <utility>

namespace berth::dataplane::remote {
namespace {

void write_match(const Match& match, v1::Match& message) {
  const auto packed = [](const PortMask& ports) { return std::uint32_t{ports.value} << 16 | ports.mask; };
  if (match.source) message.set_source(match.source->number());
  if (match.tag) message.set_tag(*match.tag);
  if (match.policy_tag) message.set_policy_tag(*match.policy_tag);
  if (match.eth_src) message.set_eth_src(bytes_of(*match.eth_src));
  if (match.eth_dst) message.set_eth_dst(bytes_of(*match.eth_dst));
  if (match.ether_type) message.set_ether_type(*match.ether_type);
  message.set_untagged(match.untagged);
  if (match.ip) message.set_ip_version(*match.ip == IpFamily::kV4 ? 4 : 6);
  if (match.ip_src) message.set_ip_src(bytes_of(*match.ip_src));
  if (match.ip_dst) message.set_ip_dst(bytes_of(*match.ip_dst));
  message.set_unfragmented(match.unfragmented);
  if (match.ip_protocol) message.set_ip_protocol(*match.ip_protocol);
  if (match.l4_src) message.set_l4_src(packed(*match.l4_src));
  if (match.l4_dst) message.set_l4_dst(packed(*match.l4_dst));
  if (match.icmpv6_type) message.set_icmpv6_type(*match.icmpv6_type);
  if (match.vni) message.set_vni(match.vni->value());
}

Match take_match(const v1::Match& message, FieldReader& reader) {
  const auto unpacked = [](std::uint32_t packed) {
    return PortMask{static_cast<std::uint16_t>(packed >> 16), static_cast<std::uint16_t>(packed)};
  };
  Match match;
  if (message.has_source()) match.source = reader.port("source", message.source());
  if (message.has_tag()) match.tag = message.tag();
  if (message.has_policy_tag()) match.policy_tag = message.policy_tag();
  if (message.has_eth_src()) match.eth_src = reader.mac("eth_src", message.eth_src());
  if (message.has_eth_dst()) match.eth_dst = reader.mac("eth_dst", message.eth_dst());
  if (message.has_ether_type())
    match.ether_type = reader.number<std::uint16_t>("ether_type", message.ether_type());
  match.untagged = message.untagged();
  if (message.ip_version() == 4) match.ip = IpFamily::kV4;
  if (message.ip_version() == 6) match.ip = IpFamily::kV6;
  if (message.ip_version() != 0 && !match.ip) reader.complain("ip_version", "is not 0, 4 or 6");
  if (message.has_ip_src()) match.ip_src = reader.prefix("ip_src", message.ip_src());
  if (message.has_ip_dst()) match.ip_dst = reader.prefix("ip_dst", message.ip_dst());
  match.unfragmented = message.unfragmented();
  if (message.has_ip_protocol())
    match.ip_protocol = reader.number<std::uint8_t>("ip_protocol", message.ip_protocol());
  if (message.has_l4_src()) match.l4_src = unpacked(message.l4_src());
  if (message.has_l4_dst()) match.l4_dst = unpacked(message.l4_dst());
  if (message.has_icmpv6_type())
    match.icmpv6_type = reader.number<std::uint8_t>("icmpv6_type", message.icmpv6_type());
  if (message.vni() != 0) match.vni = reader.vni("vni", message.vni());
  return match;
}

RuleKey take_key(const v1::RuleKey& message, FieldReader& reader) {
  return {.group = reader.number<std::uint16_t>("group", message.group()),
          .priority = message.priority(),
          .match = take_match(message.match(), reader)};
}

void write_actions(const Actions& actions, v1::Actions& message) {
  message.set_decap(actions.decap);
  message.set_count(actions.count);
  if (actions.meter) {
    v1::Meter& meter = *message.mutable_meter();
    meter.set_port(actions.meter->port.number());
    meter.set_use(static_cast<v1::Meter::Use>(actions.meter->use));
    meter.set_in_packets(actions.meter->in_packets);
    meter.set_per_second(actions.meter->per_second);
    meter.set_burst(actions.meter->burst);
  }
  if (actions.set_tag) message.set_set_tag(*actions.set_tag);
  if (actions.set_policy_tag) message.set_set_policy_tag(*actions.set_policy_tag);
  if (actions.set_eth_dst) message.set_set_eth_dst(bytes_of(*actions.set_eth_dst));
  if (actions.encap) {
    v1::VxlanEncap& encap = *message.mutable_encap();
    encap.set_eth_src(bytes_of(actions.encap->eth_src));
    encap.set_eth_dst(bytes_of(actions.encap->eth_dst));
    encap.set_ip_src(bytes_of(actions.encap->ip_src));
    encap.set_ip_dst(bytes_of(actions.encap->ip_dst));
    encap.set_vni(actions.encap->vni.value());
  }
  if (const auto* jump = std::get_if<JumpTo>(&actions.fate)) message.set_jump_to_group(jump->group);
  if (const auto* deliver = std::get_if<Deliver>(&actions.fate))
    message.set_deliver_to_port(deliver->port.number());
}

Meter take_meter(const v1::Meter& message, FieldReader& reader) {
  if (!v1::Meter::Use_IsValid(message.use())) reader.complain("meter.use", "is unknown");
  return {.port = reader.port("meter.port", message.port()),
          .use = static_cast<Meter::Use>(message.use()),
          .in_packets = message.in_packets(),
          .per_second = message.per_second(),
          .burst = message.burst()};
}

Actions take_actions(const v1::Actions& message, FieldReader& reader) {
  Actions actions;
  actions.decap = message.decap();
  actions.count = message.count();
  if (message.has_meter()) actions.meter = take_meter(message.meter(), reader);
  if (message.has_set_tag()) actions.set_tag = message.set_tag();
  if (message.has_set_policy_tag()) actions.set_policy_tag = message.set_policy_tag();
  if (message.has_set_eth_dst()) actions.set_eth_dst = reader.mac("set_eth_dst", message.set_eth_dst());
  if (message.has_encap()) {
    const v1::VxlanEncap& encap = message.encap();
    actions.encap = VxlanEncap{.eth_src = reader.mac("encap.eth_src", encap.eth_src()),
                               .eth_dst = reader.mac("encap.eth_dst", encap.eth_dst()),
                               .ip_src = reader.ip("encap.ip_src", encap.ip_src()),
                               .ip_dst = reader.ip("encap.ip_dst", encap.ip_dst()),
                               .vni = reader.vni("encap.vni", encap.vni())};
  }
  switch (message.fate_case()) {
    case v1::Actions::kJumpToGroup:
      actions.fate = JumpTo{reader.number<std::uint16_t>("jump_to_group", message.jump_to_group())};
      break;
    case v1::Actions::kDeliverToPort:
      actions.fate = Deliver{reader.port("deliver_to_port", message.deliver_to_port())};
      break;
    case v1::Actions::FATE_NOT_SET:
      actions.fate = Drop{};
  }
  return actions;
}

Rule take_rule(const v1::Rule& message, FieldReader& reader) {
  return {.key = take_key(message.key(), reader),
          .actions = take_actions(message.actions(), reader),
          .purpose = static_cast<Purpose>(reader.number<std::uint8_t>("purpose", message.purpose())),
          .owner = reader.port("owner", message.owner())};
}

}  // namespace

Result<EswitchPort> read_port(std::uint32_t number) {
  FieldReader reader("MALFORMED_PORT");
  const auto port = reader.port("port", number);
  return reader.finish(port);
}

void write_rule(const Rule& rule, v1::Rule& message) {
  write_key(rule.key, *message.mutable_key());
  write_actions(rule.actions, *message.mutable_actions());
  message.set_purpose(static_cast<std::uint32_t>(rule.purpose));
  message.set_owner(rule.owner.number());
}

void write_key(const RuleKey& key, v1::RuleKey& message) {
  message.set_group(key.group);
  message.set_priority(key.priority);
  write_match(key.match, *message.mutable_match());
}

Result<Rule> read_rule(const v1::Rule& message) {
  FieldReader reader("MALFORMED_RULE");
  const Rule rule = take_rule(message, reader);
  return reader.finish(rule);
}

Result<RuleKey> read_key(const v1::RuleKey& message) {
  FieldReader reader("MALFORMED_RULE");
  RuleKey key = take_key(message, reader);
  return reader.finish(std::move(key));
}

void write_change(const RuleChange& change, v1::Change& message) {
  if (const auto* add = std::get_if<AddRule>(&change)) {
    write_rule(add->rule, *message.mutable_add());
  } else if (const auto* remove = std::get_if<RemoveRule>(&change)) {
    write_key(remove->key, *message.mutable_remove());
  } else {
    const DiscountRule& discount = std::get<DiscountRule>(change);
    write_key(discount.key, *message.mutable_discount()->mutable_key());
    message.mutable_discount()->set_packets(discount.packets);
    message.mutable_discount()->set_bytes(discount.bytes);
  }
}

Result<RuleChange> read_change(const v1::Change& message) {
  FieldReader reader("MALFORMED_RULE");
  if (message.has_add()) {
    RuleChange change = AddRule{take_rule(message.add(), reader)};
    return reader.finish(std::move(change));
  }
  if (message.has_discount()) {
    RuleChange change = DiscountRule{.key = take_key(message.discount().key(), reader),
                                     .packets = message.discount().packets(),
                                     .bytes = message.discount().bytes()};
    return reader.finish(std::move(change));
  }
  if (!message.has_remove()) reader.complain("change", "is neither an addition nor a removal nor a discount");
  RuleChange change = RemoveRule{take_key(message.remove(), reader)};
  return reader.finish(std::move(change));
}

void write_digest(const RuleDigest& digest, v1::Digest& message) {
  message.set_owner(digest.owner.number());
  message.set_group(digest.group);
  message.set_count(digest.count);
  message.set_low(digest.low);
  message.set_high(digest.high);
}

Result<RuleDigest> read_digest(const v1::Digest& message) {
  FieldReader reader("MALFORMED_DIGEST");
  const RuleDigest digest{.owner = reader.port("owner", message.owner()),
                          .group = reader.number<std::uint16_t>("group", message.group()),
                          .count = message.count(),
                          .low = message.low(),
                          .high = message.high()};
  return reader.finish(digest);
}

}  // namespace berth::dataplane::remote
