#include "tools/berthctl/vpc_file.h"

#include <charconv>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <toml.hpp>

namespace berth::ctl {

using southbound::v1::PolicyRule;
using southbound::v1::Vpc;

namespace {

// toml11 reports by exception; they end in load_vpc_file.
[[noreturn]] void complain(const toml::value& where, const std::string& what) {
  throw std::invalid_argument(toml::format_error(what, where, "here"));
}

void check_keys(const toml::value& table, const std::set<std::string>& known) {
  for (const auto& [key, value] : table.as_table()) {
    if (!known.contains(key)) complain(value, fmt::format("'{}' is not a known key", key));
  }
}

std::string text(const toml::value& table, const std::string& key) {
  return toml::find<std::string>(table, key);
}

std::vector<std::string> texts(const toml::value& table, const std::string& key) {
  return toml::find<std::vector<std::string>>(table, key);
}

std::vector<toml::value> tables(const toml::value& table, const std::string& key) {
  if (!table.contains(key)) return {};
  return toml::find<std::vector<toml::value>>(table, key);
}

std::uint32_t number(const toml::value& table, const std::string& key) {
  const auto value = toml::find<std::int64_t>(table, key);
  if (value < 0 || value > 0xFFFFFFFF)
    complain(toml::find(table, key), fmt::format("'{}' is out of range", key));
  return static_cast<std::uint32_t>(value);
}

// "22", "80-90"
void read_ports(const toml::value& table, PolicyRule& rule) {
  const std::string ports = text(table, "ports");
  const auto dash = ports.find('-');
  const auto read = [&](std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (error != std::errc() || end != digits.end() || value == 0)
      complain(toml::find(table, "ports"), "ports are \"22\" or \"80-90\"");
    return value;
  };
  const std::string_view all = ports;
  rule.set_port_first(read(all.substr(0, dash)));
  rule.set_port_last(dash == std::string::npos ? rule.port_first() : read(all.substr(dash + 1)));
}

template <typename Value>
Value one_of(const toml::value& table, const std::string& key, const std::map<std::string, Value>& choices) {
  const auto found = choices.find(text(table, key));
  if (found == choices.end()) complain(toml::find(table, key), fmt::format("'{}' has no such value", key));
  return found->second;
}

void read_policy_rule(const toml::value& table, PolicyRule& rule) {
  check_keys(table, {"direction", "priority", "action", "protocol", "remote", "ports"});
  rule.set_direction(one_of<PolicyRule::Direction>(
      table, "direction", {{"ingress", PolicyRule::INGRESS}, {"egress", PolicyRule::EGRESS}}));
  rule.set_action(one_of<PolicyRule::Action>(table, "action",
                                             {{"allow", PolicyRule::ALLOW}, {"deny", PolicyRule::DENY}}));
  rule.set_priority(number(table, "priority"));
  if (table.contains("protocol")) {
    rule.set_protocol(one_of<PolicyRule::Protocol>(table, "protocol",
                                                   {{"any", PolicyRule::ANY},
                                                    {"tcp", PolicyRule::TCP},
                                                    {"udp", PolicyRule::UDP},
                                                    {"icmp", PolicyRule::ICMP}}));
  }
  if (table.contains("remote")) rule.set_remote(text(table, "remote"));
  if (table.contains("ports")) read_ports(table, rule);
}

void read_policy_group(const toml::value& table, southbound::v1::PolicyGroup& group) {
  check_keys(table, {"id", "rule"});
  group.set_id(text(table, "id"));
  for (const toml::value& rule : tables(table, "rule")) read_policy_rule(rule, *group.add_rules());
}

void read_route(const toml::value& table, southbound::v1::Route& route) {
  check_keys(table, {"prefix", "vtep", "mac", "vni"});
  route.set_prefix(text(table, "prefix"));
  route.set_vtep(text(table, "vtep"));
  route.set_mac(text(table, "mac"));
  if (table.contains("vni")) route.set_vni(number(table, "vni"));
}

void read_guest_options(const toml::value& table, southbound::v1::GuestOptions& options) {
  check_keys(table, {"dns_servers", "domain", "lease_seconds", "routes"});
  if (table.contains("dns_servers")) {
    for (const std::string& server : texts(table, "dns_servers")) options.add_dns_servers(server);
  }
  if (table.contains("routes")) {
    for (const std::string& prefix : texts(table, "routes")) options.add_routes(prefix);
  }
  if (table.contains("domain")) options.set_domain(text(table, "domain"));
  if (table.contains("lease_seconds")) options.set_lease_seconds(number(table, "lease_seconds"));
}

Vpc read_vpc(const toml::value& table) {
  check_keys(table, {"id", "vni", "subnet", "mapping", "policy", "policy_group", "route", "peering",
                     "guest_options"});
  Vpc vpc;
  vpc.set_id(text(table, "id"));
  vpc.set_vni(number(table, "vni"));
  for (const toml::value& subnet : tables(table, "subnet")) {
    check_keys(subnet, {"prefix", "gateway", "host_blocks"});
    southbound::v1::Subnet& added = *vpc.add_subnets();
    added.set_prefix(text(subnet, "prefix"));
    added.set_gateway(text(subnet, "gateway"));
    if (!subnet.contains("host_blocks")) continue;
    for (const std::string& block : texts(subnet, "host_blocks")) added.add_host_blocks(block);
  }
  for (const toml::value& mapping : tables(table, "mapping")) {
    check_keys(mapping, {"ip", "mac", "vtep"});
    southbound::v1::Mapping& added = *vpc.add_mappings();
    added.set_ip(text(mapping, "ip"));
    added.set_mac(text(mapping, "mac"));
    added.set_vtep(text(mapping, "vtep"));
  }
  for (const toml::value& rule : tables(table, "policy")) read_policy_rule(rule, *vpc.add_policy());
  for (const toml::value& group : tables(table, "policy_group"))
    read_policy_group(group, *vpc.add_policy_groups());
  for (const toml::value& route : tables(table, "route")) read_route(route, *vpc.add_routes());
  for (const toml::value& peering : tables(table, "peering")) {
    check_keys(peering, {"vpc", "prefixes"});
    southbound::v1::Peering& added = *vpc.add_peerings();
    added.set_vpc(text(peering, "vpc"));
    for (const std::string& prefix : texts(peering, "prefixes")) added.add_prefixes(prefix);
  }
  if (table.contains("guest_options"))
    read_guest_options(toml::find(table, "guest_options"), *vpc.mutable_guest_options());
  return vpc;
}

}  // namespace

Result<std::vector<Vpc>> load_vpc_file(const std::string& file) {
  try {
    const toml::value root = toml::parse(file);
    check_keys(root, {"vpc"});
    std::vector<Vpc> vpcs;
    for (const toml::value& table : tables(root, "vpc")) vpcs.push_back(read_vpc(table));
    return vpcs;
  } catch (const std::exception& error) {
    return fail(Code::kInvalidArgument, "BAD_FILE", error.what());
  }
}

}  // namespace berth::ctl
