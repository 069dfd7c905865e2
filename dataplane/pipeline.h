// The pipeline: the one place that lists its tables, with their groups, keys and actions. Everything
// that makes or reads rules derives from here.
//
//   from a VM   entry(0) -> admit(1) -> [admit ipv6(2)] -> egress policy(3) -> mapping(5) -> encap -> uplink
//                              |               |                  |              |
//                              +-> agent(12) <-+                  |              +-> ingress policy(9)
//                                                                 +-> egress denied(4)      |   |
//   from the    entry(0) -> terminate(6) -> [terminate ipv6(7)] -> inner MAC(8) ------------+   |
//   wire                                                                                        |
//                                                        ingress denied(10) <-- ingress policy --+
//                                                                                       |
//                                                                               deliver(11) -> VM
//
//   table           group  key                                       actions
//   entry              0   source port                               jump admit | terminate
//   admit              1   port, own MAC, untagged, and:
//                            ARP                                     count, meter, jump agent
//                            ICMPv6 type 133, 135, 136               count, meter, jump agent
//                            DHCP client to server, v4 and v6        count, meter, jump agent
//                            ICMP to the gateway's IPv4 address      count, meter, jump agent
//                            ICMPv6 134, 137, DHCP server            count, drop (rogue)
//                            own IPv4                                count, meter, tags, jump egress policy
//                            IPv6                                    jump admit ipv6
//                          port                                      count, drop (spoof)
//   admit ipv6         2   port, ICMPv6 to the gateway's address     count, meter, jump agent
//                          port, own IPv6                            count, meter, tags, jump egress policy
//                          port, fe80::/10                           count, drop (link-local)
//                          port                                      count, drop (spoof)
//   egress policy      3   policy, remote prefix, protocol, ports    count, jump mapping | egress denied
//                          policy, a family of the VPC               count, jump mapping
//                          policy                                    count, jump egress denied
//   egress denied      4   port                                      count, drop (policy)
//   mapping            5   VPC, destination (VM on this host)        count, meter, tags, MAC, jump ingress
//                          VPC, destination prefix (remote)          count, MAC, encap -> uplink
//                          VPC, port                                 count, drop (unroutable)
//   terminate          6   uplink, own VTEP, UDP 4789, VNI           decap, count, tag, jump inner MAC
//                          uplink, own VTEP, UDP 4789                count, drop (unknown VNI)
//                          IPv6 underlay: uplink, own VTEP           jump terminate ipv6
//   terminate ipv6     7   uplink, UDP 4789, VNI                     decap, count, tag, jump inner MAC
//                          uplink, UDP 4789                          count, drop (unknown VNI)
//   inner MAC          8   uplink, VPC, destination MAC              count, meter, tags, jump ingress policy
//                          uplink, VPC                               count, drop (unknown MAC)
//   ingress policy     9   policy, remote prefix, protocol, ports    count, jump deliver | ingress denied
//                          policy, a family of the VPC               count, jump deliver
//                          policy                                    count, jump ingress denied
//   ingress denied    10   destination port                          count, drop (policy)
//   deliver           11   destination port                          count -> VM
//   agent             12   never a rule of ours: a packet that jumps here misses, and a miss goes to the
//                          slow path (hardware cannot match what ARP, ND and DHCP say)
//
// Two tags travel with a packet. Index 0 is the VPC (its VNI), from where a packet is let in until its
// destination is known, and the destination's port number from then on. Index 1 names the policy that
// judges it, and its version: that of the VPC or, for a port in policy groups, that of the VPC and its groups
// together, which all ports with the same groups share (ADR 9). A new version is programmed under a new
// number beside the old one, and packets are moved over by the rules that set the tag, so that each is judged
// by one version as a whole.
//
// Only the tables that a packet enters by its port name the port. All others are keyed by tags, are
// shared by all VMs of a VPC, and cost the same however many VMs there are; so does an attach.
//
// Groups grow along every path, and no path has more than six jumps (HP-03). The tables for IPv6 take
// two steps where IPv4 takes one because of the match budget of ConnectX-6 Dx and 7 (5 dwords, HP-16):
// port, MAC and IPv6 address, or VTEP and VNI, do not fit into one rule.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <cstdint>

namespace berth::dataplane {

namespace group {
constexpr std::uint16_t kEntry = 0;
constexpr std::uint16_t kAdmit = 1;
constexpr std::uint16_t kAdmitIpv6 = 2;
constexpr std::uint16_t kEgressPolicy = 3;
constexpr std::uint16_t kEgressDenied = 4;
constexpr std::uint16_t kMapping = 5;
constexpr std::uint16_t kTerminate = 6;
constexpr std::uint16_t kTerminateIpv6 = 7;
constexpr std::uint16_t kInnerMac = 8;
constexpr std::uint16_t kIngressPolicy = 9;
constexpr std::uint16_t kIngressDenied = 10;
constexpr std::uint16_t kDeliver = 11;
constexpr std::uint16_t kAgent = 12;
}  // namespace group

// Lower wins. Match-all rules have strictly larger numbers than specific ones (HP-04). The eSwitch
// engine needs two of the NIC's priorities for each of these, so that a rule can stand beside its
// replacement: the largest that the NIC takes is 21843 (HP-04).
namespace priority {
constexpr std::uint32_t kExact = 0;
constexpr std::uint32_t kAdmit = 1;
constexpr std::uint32_t kAdmitAnyIpv6 = 2;
// A mapping for a prefix stands at kLongestPrefix + 128 - length: the longest wins.
constexpr std::uint32_t kLongestPrefix = 1;
// Policy rules stand one behind the other from here, in the order in which they decide.
constexpr std::uint32_t kPolicyFirst = 1;
constexpr std::uint32_t kTableDefault = 10900;
}  // namespace priority

// Bytes that VXLAN adds: Ethernet 14, IPv4 20 or IPv6 40, UDP 8, VXLAN 8.
constexpr std::uint32_t vxlan_overhead_bytes(IpFamily underlay) {
  return underlay == IpFamily::kV4 ? 50 : 70;
}

// Of every subnet's gateway, on every host: a VM that moves keeps its neighbour entries.
constexpr MacAddress kGatewayMac{{0x02, 0xBE, 0x27, 0x48, 0x00, 0x01}};

}  // namespace berth::dataplane
