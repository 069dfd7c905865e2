// A VPC as a controller describes it, checked and typed.
#pragma once

#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace berth::dataplane {

struct Subnet {
  IpPrefix prefix;
  IpAddress gateway;
  auto operator<=>(const Subnet&) const = default;
};

// A VM of the VPC on another host: reached through the tunnel to `vtep`.
struct Mapping {
  IpAddress ip;
  MacAddress mac;
  IpAddress vtep;
  auto operator<=>(const Mapping&) const = default;
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
  std::optional<std::uint8_t> protocol;  // IANA number
  std::optional<IpPrefix> remote;
  std::optional<PortRange> ports;  // destination ports; only with TCP or UDP
  auto operator<=>(const PolicyRule&) const = default;
};

constexpr std::uint16_t kMaxPolicyPriority = 9999;

// What one controller push may hold for one VPC; more is refused by name (LIMIT_EXCEEDED).
constexpr std::size_t kMaxSubnetsPerVpc = 64;
// A VPC is one message: so many fit the 4 MiB that a message may have.
constexpr std::size_t kMaxMappingsPerVpc = 65536;
constexpr std::size_t kMaxPolicyRulesPerVpc = 1000;

struct Vpc {
  VpcId id;
  Vni vni;
  std::vector<Subnet> subnets;
  std::vector<Mapping> mappings;
  std::vector<PolicyRule> policy;
  auto operator<=>(const Vpc&) const = default;
};

// The subnet that holds `ip`, or nothing.
std::optional<Subnet> find_subnet(const Vpc& vpc, const IpAddress& ip);

// True for addresses of the subnet that no VM may have: network, broadcast, gateway.
bool is_reserved(const Subnet& subnet, const IpAddress& ip);

}  // namespace berth::dataplane
