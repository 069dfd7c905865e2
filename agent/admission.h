// Whether an intent may be accepted. Pure: nothing has happened on the host when these say no.
#pragma once

#include "agent/attachment.h"
#include "base/error.h"
#include "dataplane/vpc.h"
#include "dataplane/vpc_check.h"
#include "host/host_devices.h"

#include <cstdint>
#include <span>

namespace berth::agent {

// What every host must be able to take: RFC 791, RFC 8200.
constexpr std::uint32_t kMinMtuBytes = 576;
constexpr std::uint32_t kMinIpv6MtuBytes = 1280;

constexpr std::size_t kMaxDevices = 32;  // of one VM: 8 GPUs with their switches, and drives

// What the network between hosts leaves for tenants' packets.
struct UnderlayLimits {
  IpFamily family = IpFamily::kV4;  // of the tunnels' outer headers
  std::uint32_t mtu_bytes = 1500;
};

// The intent alone: addresses that a VM may have, and an MTU that fits the underlay
// (which is at least kMinMtuBytes and the tunnel's headers). Returns the MTU that the VM gets.
Result<std::uint32_t> check_intent(const AttachIntent& intent, const UnderlayLimits& underlay);

// The devices of the intent alone, and against those of the attachments of this host (all of them: who is
// quarantined has its devices still). INVALID_ARGUMENT (TOO_MANY_DEVICES, DEVICE_TWICE), ALREADY_EXISTS
// (DEVICE_TAKEN; DEVICE_GROUP_TAKEN: another one's in the same IOMMU group; VM_HAS_DEVICES: with another
// interface), and what HostDevices::check() says of each. `host_devices`: nullptr when this host gives none
// away.
Result<void> check_devices(const AttachIntent& intent, std::span<const Attachment> all,
                           const host::HostDevices* host_devices);

// The intent against its VPC and the VMs that are in it: on this host (`local`) and on others (the
// VPC's mappings, except those that point to `own_vtep`).
Result<void> check_against_vpc(const AttachIntent& intent, const dataplane::Vpc& vpc,
                               std::span<const Attachment> local, const IpAddress& own_vtep);

// Mappings and routes of `vpc` whose tunnel endpoint this host cannot reach at all: its own is of the other
// family.
std::vector<dataplane::ResourceError> check_vteps(const dataplane::Vpc& vpc, const IpAddress& own_vtep);

// The reverse: what a push would do to the VMs that are attached here.
std::vector<dataplane::ResourceError> check_push(const dataplane::VpcSet& vpcs,
                                                 std::span<const Attachment> local,
                                                 const IpAddress& own_vtep);

}  // namespace berth::agent
