// What a probe of a VM's rules sends, what must become of it, and whether it did. Pure: frames, rules and
// counts in, a verdict out; prober.h does it. docs/probe.md says what this proves and what it cannot.
//
// For each address of the VM, four frames, none of which has any business outside this host:
//   from the VM: the VM to itself. Admit, egress policy, its own mapping, ingress policy, deliver
//   from the wire: in a tunnel with the VPC's VNI, to the VM. Terminate, inner MAC, ingress policy, deliver
//   spoofed: as the first, from an address that is not the VM's. Must end in admit
//   with a foreign VNI: as the second, with a VNI that no VPC of this host has. Must not reach the VM
#pragma once

#include "base/error.h"
#include "base/ids.h"
#include "dataplane/eswitch.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace berth::agent {

// The VM as its rules see it, and where it is.
struct ProbeSubject {
  dataplane::EswitchPort port;
  MacAddress mac;
  std::vector<IpAddress> ips;
  Vni vni;
  Vni foreign_vni;  // that no VPC of this host has
  IpAddress vtep;   // this host's end of every tunnel
  MacAddress uplink_mac;
};

struct ProbeFrame {
  std::string name;  // "ipv4 from the VM"
  dataplane::InjectedFrame frame;
  struct Step {
    dataplane::Rule rule;
    std::uint64_t bytes = 0;  // of the frame, as it reaches the rule
  };
  std::vector<Step> chain;  // the rules that count it, in the order in which it meets them
  std::string end;          // "delivered to vf0"
  bool is_denied = false;   // by the VPC's policy: then that is what is proven
};

struct ProbePlan {
  dataplane::EswitchPort port;
  std::vector<ProbeFrame> frames;
  // Whose counts are to be read: every rule of a chain, and every other one of the port that counts.
  std::vector<dataplane::RuleKey> watched;
};

// `rules` are those that the eSwitch should hold for the host, the VM's VPC and the VM; remote mappings may
// be left out, because a VM's own address is never one. DATA_LOSS (PROBE_FAILED) when these rules themselves
// lead a frame where it must not go.
Result<ProbePlan> plan_probe(const ProbeSubject& subject, std::span<const dataplane::HeldRule> rules);

// As read before and after frames were injected.
using Readings = std::map<dataplane::RuleKey, dataplane::HeldRule>;
Readings index_readings(std::vector<dataplane::HeldRule> rules);

struct ProbeVerdict {
  enum class State : std::uint8_t {
    kProven,
    kShort,    // a rule has not counted all of its frames: not yet, or never
    kExcess,   // a rule of the port has counted more than its frames
    kChanged,  // the rules are not those of the plan any more
  };
  State state = State::kProven;
  std::string why;  // names the frame and the rule
};

// Whether the frames took their ways. Rules of the port itself must have counted exactly what was sent; those
// that it shares with other VMs at least that.
ProbeVerdict judge(const ProbePlan& plan, std::span<const ProbeFrame> sent, const Readings& before,
                   const Readings& after);

// So that nobody sees the frames in the rules' counts.
std::vector<dataplane::RuleChange> discounts_of(std::span<const ProbeFrame> sent);

// Of the rules that `sent` should have moved.
std::size_t count_rules(std::span<const ProbeFrame> sent);

}  // namespace berth::agent
