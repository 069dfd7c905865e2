// A VPC as a controller describes it, checked and typed.
#pragma once

#include "base/ids.h"
#include "base/ip_address.h"
#include "base/ip_range.h"
#include "base/mac_address.h"

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace berth::dataplane {

// Within its VPC.
using PolicyGroupId = TextId<struct PolicyGroupIdTag>;

struct Subnet {
  IpPrefix prefix;
  IpAddress gateway;
  // Addresses that this host, and no other, may hand out by itself; is_reserved() ones are not meant.
  std::vector<IpRange> host_blocks = {};
  auto operator<=>(const Subnet&) const = default;
};

// A VM of the VPC on another host: reached through the tunnel to `vtep`.
struct Mapping {
  IpAddress ip;
  MacAddress mac;
  IpAddress vtep;
  auto operator<=>(const Mapping&) const = default;
};

// A prefix behind a gateway: whatever is sent there goes to `vtep`, under `vni`, addressed to `mac`. The
// longest prefix wins; a mapping wins over every route.
struct Route {
  IpPrefix prefix;
  IpAddress vtep;
  MacAddress mac;
  Vni vni;
  auto operator<=>(const Route&) const = default;
};

// VMs of another VPC that may be reached, if their addresses lie in `prefixes`. Takes effect when both
// VPCs name each other.
struct Peering {
  VpcId vpc;
  std::vector<IpPrefix> prefixes;
  auto operator<=>(const Peering&) const = default;
};

// What VMs are told besides their addresses (DHCP, router advertisements).
struct GuestOptions {
  std::vector<IpAddress> dns_servers;
  std::string domain;
  std::vector<IpPrefix> routes;  // by way of the gateway, beside the default route
  std::uint32_t lease_seconds = 86400;
  auto operator<=>(const GuestOptions&) const = default;
};

enum class Direction : std::uint8_t { kIngress, kEgress };  // ingress: towards the VM
enum class Verdict : std::uint8_t { kAllow, kDeny };

// Host byte order, both ends included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0xFFFF;
  auto operator<=>(const PortRange&) const = default;
};

// Stateless; the lowest priority number decides, deny before allow at equal numbers; no match: allow.
struct PolicyRule {
  Direction direction = Direction::kIngress;
  std::uint16_t priority = 0;  // 0 to kMaxPolicyPriority
  Verdict verdict = Verdict::kAllow;
  // IANA number; ICMP (1) means ICMPv6 (58) for IPv6 packets.
  std::optional<std::uint8_t> protocol;
  std::optional<IpPrefix> remote;
  std::optional<PortRange> ports;  // destination ports; only with TCP or UDP
  auto operator<=>(const PolicyRule&) const = default;
};

constexpr std::uint16_t kMaxPolicyPriority = 9999;

// Rules that are not for every VM of the VPC, but for those whose interface names the group. They are judged
// together with the VPC's own, by the same numbers.
struct PolicyGroup {
  PolicyGroupId id;
  std::vector<PolicyRule> rules;
  std::uint8_t version = 0;  // as Vpc::policy_version, of these rules
  auto operator<=>(const PolicyGroup&) const = default;
};

// What judges the packets of a port: the VPC's own policy and those groups of it. Ports with the same groups
// share the set, and its rules.
struct PolicySet {
  // One set's of this host alone, at most kMaxPolicySet; 0: the VPC's own policy.
  std::uint32_t number = 0;
  std::vector<PolicyGroupId> groups;  // in the order of their ids
  auto operator<=>(const PolicySet&) const = default;
};
constexpr std::uint32_t kMaxPolicySet = 0xFFFFFF;

// What one controller push may hold for one VPC; more is refused by name (LIMIT_EXCEEDED).
constexpr std::size_t kMaxSubnetsPerVpc = 64;
constexpr std::size_t kMaxHostBlocksPerSubnet = 64;
// A VPC is one message: so many fit the 4 MiB that a message may have.
constexpr std::size_t kMaxMappingsPerVpc = 65536;
constexpr std::size_t kMaxPolicyRulesPerVpc = 1000;
constexpr std::size_t kMaxPolicyGroupsPerVpc = 256;
constexpr std::size_t kMaxRulesPerPolicyGroup = 500;
constexpr std::size_t kMaxRoutesPerVpc = 1000;
constexpr std::size_t kMaxPeeringsPerVpc = 64;
constexpr std::size_t kMaxPrefixesPerPeering = 64;
// A year (the least is a minute): what DHCP clients can be told to rely on.
constexpr std::uint32_t kMinLeaseSeconds = 60;
constexpr std::uint32_t kMaxLeaseSeconds = 365 * 86400;
// Of one interface.
constexpr std::size_t kMaxPolicyGroupsPerSet = 16;

struct Vpc {
  VpcId id;
  Vni vni;
  std::vector<Subnet> subnets;
  std::vector<Mapping> mappings;
  std::vector<PolicyRule> policy;
  std::vector<Route> routes;
  std::vector<Peering> peerings;
  GuestOptions guest_options;
  std::vector<PolicyGroup> policy_groups;
  // Which version of the policy this is: the next one stands beside it in the eSwitch until packets have
  // moved over. Not from the controller; VpcStore counts it.
  std::uint8_t policy_version = 0;
  auto operator<=>(const Vpc&) const = default;
};

// Copying is cheap: VPCs that did not change are shared.
using VpcSet = std::map<VpcId, std::shared_ptr<const Vpc>>;

// The subnet that holds `ip`, or nothing.
std::optional<Subnet> find_subnet(const Vpc& vpc, const IpAddress& ip);

// nullptr when it has none of that id. LIFETIME: the VPC's.
const PolicyGroup* find_policy_group(const Vpc& vpc, const PolicyGroupId& id);

// True for addresses of the subnet that no VM may have: gateway, network, and the IPv4 broadcast address.
bool is_reserved(const Subnet& subnet, const IpAddress& ip);

// The prefixes of `peer` that VMs of `vpc` may reach; none when one of the two does not name the other.
std::vector<IpPrefix> peered_prefixes(const Vpc& vpc, const Vpc& peer);

// Every VPC of the set with which `vpc` peers, both ways.
std::vector<std::shared_ptr<const Vpc>> peers_of(const Vpc& vpc, const VpcSet& vpcs);

}  // namespace berth::dataplane
