#include "agent/vpc_blob.h"

#include "agent/blob.h"

namespace berth::agent {
namespace {

using namespace dataplane;

// First in every blob: other numbers are other formats.
constexpr std::uint8_t kFormat = 2;
constexpr std::uint8_t kFormatOfSchema4 = 1;  // is read, too

void write_policy_rule(BlobWriter& writer, const PolicyRule& rule) {
  writer.number(static_cast<std::uint8_t>(rule.direction));
  writer.number(rule.priority);
  writer.number(static_cast<std::uint8_t>(rule.verdict));
  writer.optional(rule.protocol, [&](std::uint8_t protocol) { writer.number(protocol); });
  writer.optional(rule.remote, [&](const IpPrefix& prefix) { writer.prefix(prefix); });
  writer.optional(rule.ports, [&](const PortRange& range) {
    writer.number(range.first);
    writer.number(range.last);
  });
}

PolicyRule read_policy_rule(BlobReader& reader) {
  PolicyRule rule;
  rule.direction = reader.choice(Direction::kEgress);
  rule.priority = reader.number<std::uint16_t>();
  rule.verdict = reader.choice(Verdict::kDeny);
  rule.protocol = reader.optional<std::uint8_t>([&] { return reader.number<std::uint8_t>(); });
  rule.remote = reader.optional<IpPrefix>([&] { return reader.prefix(); });
  rule.ports = reader.optional<PortRange>([&] {
    const auto first = reader.number<std::uint16_t>();
    return PortRange{first, reader.number<std::uint16_t>()};
  });
  return rule;
}

void write_policy_group(BlobWriter& writer, const PolicyGroup& group) {
  writer.text(group.id.str());
  writer.list(group.rules, [&](const PolicyRule& rule) { write_policy_rule(writer, rule); });
  writer.number(group.version);
}

PolicyGroup read_policy_group(BlobReader& reader) {
  PolicyGroup group;
  const auto id = PolicyGroupId::parse("policy_groups", reader.text());
  if (!id) reader.fail();
  group.id = id.value_or(PolicyGroupId());
  group.rules = reader.list<PolicyRule>([&] { return read_policy_rule(reader); });
  group.version = reader.number<std::uint8_t>();
  return group;
}

IpRange read_range(BlobReader& reader) {
  const IpAddress first = reader.ip();
  const auto range = IpRange::make("host_blocks", first, reader.ip());
  if (!range) reader.fail();
  return range.value_or(IpRange());
}

Vni read_vni(BlobReader& reader) {
  const auto vni = Vni::parse("vni", reader.number<std::uint32_t>());
  if (!vni) reader.fail();
  return vni.value_or(Vni());
}

VpcId read_id(BlobReader& reader) {
  const auto id = VpcId::parse("vpc", reader.text());
  if (!id) reader.fail();
  return id.value_or(VpcId());
}

void write_guest_options(BlobWriter& writer, const GuestOptions& options) {
  writer.list(options.dns_servers, [&](const IpAddress& ip) { writer.ip(ip); });
  writer.text(options.domain);
  writer.list(options.routes, [&](const IpPrefix& prefix) { writer.prefix(prefix); });
  writer.number(options.lease_seconds);
}

GuestOptions read_guest_options(BlobReader& reader) {
  GuestOptions options;
  options.dns_servers = reader.list<IpAddress>([&] { return reader.ip(); });
  options.domain = reader.text();
  options.routes = reader.list<IpPrefix>([&] { return reader.prefix(); });
  options.lease_seconds = reader.number<std::uint32_t>();
  return options;
}

Route read_route(BlobReader& reader) {
  Route route;
  route.prefix = reader.prefix();
  route.vtep = reader.ip();
  route.mac = reader.mac();
  route.vni = read_vni(reader);
  return route;
}

}  // namespace

std::string format_vpc_blob(const Vpc& vpc) {
  BlobWriter writer;
  writer.number(kFormat);
  writer.text(vpc.id.str());
  writer.number(vpc.vni.value());
  writer.list(vpc.subnets, [&](const Subnet& subnet) {
    writer.prefix(subnet.prefix);
    writer.ip(subnet.gateway);
  });
  writer.list(vpc.mappings, [&](const Mapping& mapping) {
    writer.ip(mapping.ip);
    writer.mac(mapping.mac);
    writer.ip(mapping.vtep);
  });
  writer.list(vpc.policy, [&](const PolicyRule& rule) { write_policy_rule(writer, rule); });
  writer.list(vpc.routes, [&](const Route& route) {
    writer.prefix(route.prefix);
    writer.ip(route.vtep);
    writer.mac(route.mac);
    writer.number(route.vni.value());
  });
  writer.list(vpc.peerings, [&](const Peering& peering) {
    writer.text(peering.vpc.str());
    writer.list(peering.prefixes, [&](const IpPrefix& prefix) { writer.prefix(prefix); });
  });
  write_guest_options(writer, vpc.guest_options);
  writer.number(vpc.policy_version);
  writer.list(vpc.policy_groups, [&](const PolicyGroup& group) { write_policy_group(writer, group); });
  for (const Subnet& subnet : vpc.subnets) {
    writer.list(subnet.host_blocks, [&](const IpRange& block) {
      writer.ip(block.first());
      writer.ip(block.last());
    });
  }
  return writer.take();
}

Result<Vpc> parse_vpc_blob(std::string_view bytes) {
  BlobReader reader(bytes);
  const auto format = reader.number<std::uint8_t>();
  if (format != kFormat && format != kFormatOfSchema4) reader.fail();
  Vpc vpc;
  vpc.id = read_id(reader);
  vpc.vni = read_vni(reader);
  vpc.subnets = reader.list<Subnet>([&] {
    const auto prefix = reader.prefix();
    return Subnet{.prefix = prefix, .gateway = reader.ip()};
  });
  vpc.mappings = reader.list<Mapping>([&] {
    const auto ip = reader.ip();
    const auto mac = reader.mac();
    return Mapping{ip, mac, reader.ip()};
  });
  vpc.policy = reader.list<PolicyRule>([&] { return read_policy_rule(reader); });
  vpc.routes = reader.list<Route>([&] { return read_route(reader); });
  vpc.peerings = reader.list<Peering>([&] {
    const auto peer = read_id(reader);
    return Peering{peer, reader.list<IpPrefix>([&] { return reader.prefix(); })};
  });
  vpc.guest_options = read_guest_options(reader);
  vpc.policy_version = reader.number<std::uint8_t>();
  if (format != kFormatOfSchema4) {
    vpc.policy_groups = reader.list<PolicyGroup>([&] { return read_policy_group(reader); });
    for (Subnet& subnet : vpc.subnets)
      subnet.host_blocks = reader.list<IpRange>([&] { return read_range(reader); });
  }
  if (reader.is_good() && reader.is_at_end()) return vpc;
  return fail(Code::kDataLoss, "STATE_CORRUPT", "a VPC's row is not what berthd writes");
}

}  // namespace berth::agent
