// One eSwitch rule, as a value: the intermediate form between VPC state and rte_flow.
//
// It can express only what the hardware profile allows (docs/hardware-profile.md): every rule says
// whose packets it means, has one fate, has its actions in the order that mlx5's hardware steering
// demands, and cannot decapsulate and encapsulate at once.
#pragma once

#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"
#include "dataplane/port.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace berth::dataplane {

// A masked 16-bit number: ranges are expanded to these, because the NIC knows no ranges (HP-12).
struct PortMask {
  std::uint16_t value = 0;
  std::uint16_t mask = 0xFFFF;
  auto operator<=>(const PortMask&) const = default;
};

// Fields are those of the outermost headers. Unset: not matched.
struct Match {
  std::optional<EswitchPort> source;  // unset: every port's packets (HP-02)
  // What earlier tables left with the packet; 0 when it arrives.
  std::optional<std::uint32_t> tag;         // TAG index 0
  std::optional<std::uint32_t> policy_tag;  // TAG index 1
  std::optional<MacAddress> eth_src;
  std::optional<MacAddress> eth_dst;
  std::optional<std::uint16_t> ether_type;  // host byte order; not with `ip`
  bool untagged = false;                    // refuse 802.1Q frames (HP-15)
  std::optional<IpFamily> ip;               // needed by every field below
  std::optional<IpPrefix> ip_src;
  std::optional<IpPrefix> ip_dst;
  bool unfragmented = false;  // refuse every fragment, the first one too
  std::optional<std::uint8_t> ip_protocol;
  std::optional<PortMask> l4_src;  // need ip_protocol TCP or UDP; host byte order
  std::optional<PortMask> l4_dst;
  std::optional<std::uint8_t> icmpv6_type;  // needs ip_protocol ICMPv6
  std::optional<Vni> vni;                   // a VXLAN packet; needs UDP and l4_dst 4789 (HP-14)
  auto operator<=>(const Match&) const = default;
};

// Outer headers: Ethernet, IPv4 or IPv6, UDP to port 4789, VXLAN. The eSwitch chooses the UDP source
// port by flow entropy and writes checksum 0 (RFC 7348 section 5, RFC 6935; HP-46).
struct VxlanEncap {
  MacAddress eth_src;
  MacAddress eth_dst;
  IpAddress ip_src;
  IpAddress ip_dst;
  Vni vni;
  auto operator<=>(const VxlanEncap&) const = default;
};

struct JumpTo {
  std::uint16_t group = 0;  // strictly larger than the rule's own (HP-03)
  auto operator<=>(const JumpTo&) const = default;
};
struct Drop {
  auto operator<=>(const Drop&) const = default;
};
struct Deliver {
  EswitchPort port;
  auto operator<=>(const Deliver&) const = default;
};

// A token bucket; what exceeds it is dropped. Rules of one eSwitch with equal meters share one bucket,
// so that a VM's IPv4 and IPv6 packets count together.
struct Meter {
  enum class Use : std::uint8_t { kFromVm, kToVm, kToAgent };
  EswitchPort port;
  Use use = Use::kFromVm;
  bool in_packets = false;  // otherwise in bytes, Ethernet header included
  std::uint64_t per_second = 0;
  std::uint64_t burst = 0;
  auto operator<=>(const Meter&) const = default;
};

// Members stand in the order of execution (HP-21).
struct Actions {
  bool decap = false;
  bool count = false;
  std::optional<Meter> meter;
  std::optional<std::uint32_t> set_tag;
  std::optional<std::uint32_t> set_policy_tag;
  std::optional<MacAddress> set_eth_dst;
  std::optional<VxlanEncap> encap;
  std::variant<Drop, JumpTo, Deliver> fate;
  auto operator<=>(const Actions&) const = default;
};

// What a rule is for: its name in listings and the counter it feeds. A rule holder hands the number back to
// the next version of berthd: new ones go to the end.
enum class Purpose : std::uint8_t {
  kPortEntry,
  kAdmit,
  kAdmitIpv6,
  kToAgent,
  kRogueDrop,
  kLinkLocalDrop,
  kSpoofDrop,
  kEgressPolicy,
  kEgressDeny,
  kEgressPolicyDrop,
  kMapping,
  kLocalMapping,
  kUnroutableDrop,
  kTerminate,
  kTerminateIpv6,
  kUnknownVniDrop,
  kInnerMac,
  kUnknownMacDrop,
  kIngressPolicy,
  kIngressDeny,
  kIngressPolicyDrop,
  kDeliver,
};
std::string_view purpose_name(Purpose purpose);

// No two rules of an eSwitch have the same key (HP-05).
struct RuleKey {
  std::uint16_t group = 0;
  std::uint32_t priority = 0;  // lower wins
  Match match;
  auto operator<=>(const RuleKey&) const = default;
};

struct Rule {
  RuleKey key;
  Actions actions;
  // Not part of the hardware's rule: the function it serves (the uplink: no one in particular).
  Purpose purpose = Purpose::kPortEntry;
  EswitchPort owner;
  auto operator<=>(const Rule&) const = default;
};

}  // namespace berth::dataplane
