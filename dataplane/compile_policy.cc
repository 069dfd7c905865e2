// The stateless policies of a VPC as rules, one table a direction: its own, and those of policy sets.
#include "dataplane/compile_parts.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace berth::dataplane {
namespace {

struct Table {
  std::uint16_t group;
  std::uint16_t pass;    // group of packets that may go on
  std::uint16_t denied;  // group of packets that may not
  Purpose allow_purpose;
  Purpose deny_purpose;
};

constexpr Table kEgress{group::kEgressPolicy, group::kMapping, group::kEgressDenied, Purpose::kEgressPolicy,
                        Purpose::kEgressDeny};
constexpr Table kIngress{group::kIngressPolicy, group::kDeliver, group::kIngressDenied,
                         Purpose::kIngressPolicy, Purpose::kIngressDeny};

bool has_family(const Vpc& vpc, IpFamily family) {
  return std::ranges::any_of(vpc.subnets,
                             [&](const Subnet& subnet) { return subnet.prefix.family() == family; });
}

// Policy rules have priorities of their own between those of the table's first and last rules.
static_assert(priority::kPolicyFirst + kMaxPolicyRulesPerVpc +
                  kMaxPolicyGroupsPerSet * kMaxRulesPerPolicyGroup <
              priority::kTableDefault - 1);

bool has_all_groups(const Vpc& vpc, const PolicySet& set) {
  return std::ranges::all_of(set.groups,
                             [&](const PolicyGroupId& id) { return find_policy_group(vpc, id) != nullptr; });
}

// In the order in which they decide: the lowest number first, deny before allow, whoever says it.
std::vector<PolicyRule> in_order(const Vpc& vpc, const PolicySet& set, Direction direction) {
  std::vector<PolicyRule> rules;
  const auto take = [&](const std::vector<PolicyRule>& some) {
    std::ranges::copy_if(some, std::back_inserter(rules),
                         [&](const PolicyRule& rule) { return rule.direction == direction; });
  };
  take(vpc.policy);
  for (const PolicyGroupId& id : set.groups) take(find_policy_group(vpc, id)->rules);
  std::ranges::sort(rules, {}, [](const PolicyRule& rule) {
    return std::tuple(rule.priority, rule.verdict == Verdict::kAllow, rule);
  });
  return rules;
}

std::uint8_t protocol_in(IpFamily family, std::uint8_t protocol) {
  return family == IpFamily::kV6 && protocol == kProtocolIcmp ? kProtocolIcmpv6 : protocol;
}

// Next header values behind which a protocol may hide: hop-by-hop options, routing, fragment, authentication,
// destination options, mobility, HIP, shim6 (IANA's list of IPv6 extension headers). A NIC may take the first
// one's number for the protocol, as the software eSwitch does, or look behind it: either is right here.
constexpr std::uint8_t kHidingHeaders[] = {0, 43, 44, 51, 60, 135, 139, 140};

class PolicyCompiler {
 public:
  PolicyCompiler(std::vector<Rule>& rules, const Vpc& vpc, const PolicySet& set, Direction direction)
      : rules_(rules), vpc_(vpc), tag_(policy_tag(vpc, set)), is_egress_(direction == Direction::kEgress) {
    if (has_all_groups(vpc, set)) {
      for (const PolicyRule& rule : in_order(vpc, set, direction)) append(rule);
      append_default();
    }
    add({table().group, priority::kTableDefault, {.policy_tag = tag_}}, false);
  }

 private:
  const Table& table() const { return is_egress_ ? kEgress : kIngress; }

  void append(const PolicyRule& policy) {
    const auto masks = policy.ports ? expand_port_range(*policy.ports) : std::vector{PortMask{0, 0}};
    for (const IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
      if (policy.remote ? policy.remote->family() != family : !has_family(vpc_, family)) continue;
      for (const PortMask& mask : masks) append(policy, family, mask);
      const bool denies_protocol = policy.verdict == Verdict::kDeny && policy.protocol;
      if (family == IpFamily::kV6 && denies_protocol) deny_hiding_headers();
    }
    ++rank_;
    fragments_may_hide_ = fragments_may_hide_ || (policy.verdict == Verdict::kDeny && policy.ports);
  }

  void append(const PolicyRule& policy, IpFamily family, const PortMask& ports) {
    const bool allow = policy.verdict == Verdict::kAllow;
    Match match{.policy_tag = tag_, .ip = family};
    (is_egress_ ? match.ip_dst : match.ip_src) = policy.remote;
    match.unfragmented = allow && fragments_may_hide_;
    if (policy.protocol) match.ip_protocol = protocol_in(family, *policy.protocol);
    if (ports.mask != 0) match.l4_dst = ports;
    add({table().group, priority::kPolicyFirst + rank_, match}, allow);
  }

  // IPv6 packets whose headers may hide the protocol that the rule of this rank denies. Once is enough: the
  // first one stands before all others.
  void deny_hiding_headers() {
    if (std::exchange(headers_may_hide_, true)) return;
    for (const std::uint8_t header : kHidingHeaders) {
      const Match match{.policy_tag = tag_, .ip = IpFamily::kV6, .ip_protocol = header};
      add({table().group, priority::kPolicyFirst + rank_, match}, false);
    }
  }

  // No match: allow what VMs of this VPC can send at all. Anything else (a family that no subnet has, frames
  // that are not IP) can only come out of a tunnel, was never meant by a rule about addresses, and is denied.
  void append_default() {
    for (const IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
      if (!has_family(vpc_, family)) continue;
      const Match match{.policy_tag = tag_, .ip = family, .unfragmented = fragments_may_hide_};
      add({table().group, priority::kTableDefault - 1, match}, true);
    }
  }

  void add(RuleKey key, bool allow) {
    rules_.push_back(make_rule(allow ? table().allow_purpose : table().deny_purpose, EswitchPort::uplink(),
                               std::move(key), counted_jump(allow ? table().pass : table().denied)));
  }

  std::vector<Rule>& rules_;
  const Vpc& vpc_;
  std::uint32_t tag_;
  bool is_egress_;
  std::uint32_t rank_ = 0;
  // A rule that denies ports has come: a later fragment has none to look at, and the first one may be
  // too short to show them (RFC 1858), so nothing that comes after lets fragments pass.
  bool fragments_may_hide_ = false;
  // A rule that denies a protocol to IPv6 packets has come.
  bool headers_may_hide_ = false;
};

}  // namespace

// The VPC's own policy: its VNI, and 7 bits of version. A set's: its number, a bit, and 7 bits of version.
std::uint32_t policy_tag(const Vpc& vpc, const PolicySet& set) {
  constexpr std::uint32_t kVersion = 0x7F;
  constexpr std::uint32_t kIsSet = 0x80;
  if (set.number == 0) return vpc.vni.value() << 8 | (vpc.policy_version & kVersion);
  std::uint32_t version = vpc.policy_version;
  for (const PolicyGroupId& id : set.groups) {
    if (const PolicyGroup* group = find_policy_group(vpc, id)) version += group->version;
  }
  return set.number << 8 | kIsSet | (version & kVersion);
}

void append_policy(std::vector<Rule>& rules, const Vpc& vpc, const PolicySet& set) {
  PolicyCompiler(rules, vpc, set, Direction::kEgress);
  PolicyCompiler(rules, vpc, set, Direction::kIngress);
}

std::vector<Rule> compile_policy_set(const Vpc& vpc, const PolicySet& set) {
  std::vector<Rule> rules;
  if (set.number != 0) append_policy(rules, vpc, set);
  return rules;
}

std::vector<PortMask> expand_port_range(PortRange range) {
  std::vector<PortMask> masks;
  std::uint32_t first = range.first;
  const std::uint32_t end = range.last + 1U;
  while (first < end) {
    // The largest aligned block that starts at `first` and ends within the range.
    std::uint32_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= end) size *= 2;
    masks.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(0x10000U - size)});
    first += size;
  }
  return masks;
}

}  // namespace berth::dataplane
