// The pipeline: the one place that lists its tables, with their groups, keys and actions. Everything
// that makes or reads rules derives from here.
//
//   from a VM    entry(0) -> admit(1) -> egress policy(2) -> mapping(3) -+-> encap -> uplink
//                              |                                         |
//                              +-> agent(6)                              +-> ingress policy(4)
//                                                                                 |
//   from the     entry(0) -> terminate(1) -> inner MAC(2) ----------------> ingress policy(4)
//   wire                                                                          |
//                                                                           deliver(5) -> VM
//
// Groups grow strictly along every path (HP-03) and no path is longer than six (HP-03). Two tables
// share a group where their source ports differ: VMs' tables and the wire's tables never meet.
//
//   table           group  key                                          actions
//   entry             0    source port                                  jump 1
//   admit             1    port, own MAC, own IP, untagged              count, jump 2
//                          port, own MAC, ARP, untagged                 count, jump 6
//                          port                                         count, drop (spoof)
//   terminate         1    uplink, own VTEP, UDP 4789, VNI              decap, count, tag=VNI, jump 2
//                          uplink, own VTEP, UDP 4789                   count, drop (unknown VNI)
//   inner MAC         2    uplink, tag=VNI, destination MAC             count, tag=port, jump 4
//                          uplink, tag=VNI                              count, drop (unknown MAC)
//   egress policy     2    port, remote prefix, protocol, ports         jump 3 | count, drop
//   mapping           3    port, destination IP (remote VM)             count, MAC, encap -> uplink
//                          port, destination IP (VM on this host)       count, tag=port, MAC, jump 4
//                          port                                         count, drop (unroutable)
//   ingress policy    4    source, tag=port, remote prefix, prot, ports jump 5 | count, drop
//   deliver           5    source, tag=port                             count -> VM
//   agent             6    never has a rule: a packet that jumps here misses, and a miss goes to the
//                          agent's slow path (ARP; hardware cannot match its content)
//
// Matching the VNI and the inner MAC takes two tables because one rule with both would exceed the
// match budget of ConnectX-6 Dx and 7 (5 dwords, HP-16). The mapping key has no VPC tag: the source
// port, which every rule must name anyway (HP-02), already says which VPC it is.
#pragma once

#include <cstdint>

namespace berth::dataplane {

namespace group {
constexpr std::uint16_t kEntry = 0;
constexpr std::uint16_t kAdmit = 1;
constexpr std::uint16_t kTerminate = 1;
constexpr std::uint16_t kEgressPolicy = 2;
constexpr std::uint16_t kInnerMac = 2;
constexpr std::uint16_t kMapping = 3;
constexpr std::uint16_t kIngressPolicy = 4;
constexpr std::uint16_t kDeliver = 5;
constexpr std::uint16_t kAgent = 6;
}  // namespace group

// Lower wins. Match-all rules have strictly larger numbers than specific ones (HP-04).
namespace priority {
constexpr std::uint32_t kExact = 0;
constexpr std::uint32_t kArp = 1;
// A policy rule of priority p (0 to 9999) stands at kPolicyFirst + 2p if it denies, one later if it
// allows: at equal priorities deny wins.
constexpr std::uint32_t kPolicyFirst = 10;
constexpr std::uint32_t kTableDefault = 21000;
}  // namespace priority

// Bytes that VXLAN over IPv4 adds: Ethernet 14, IPv4 20, UDP 8, VXLAN 8.
constexpr std::uint32_t kVxlanOverheadBytesV4 = 50;

}  // namespace berth::dataplane
