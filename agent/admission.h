// Whether an intent may be accepted. Pure: nothing has happened on the host when these say no.
#pragma once

#include "agent/attachment_store.h"
#include "base/error.h"
#include "dataplane/mapping_index.h"
#include "dataplane/vpc.h"
#include "dataplane/vpc_check.h"
#include "host/host_devices.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace berth::agent {

// What every host must be able to take: RFC 791, RFC 8200.
constexpr std::uint32_t kMinMtuBytes = 576;
constexpr std::uint32_t kMinIpv6MtuBytes = 1280;

constexpr std::size_t kMaxInterfaces = 16;  // of one attachment: 8 for its GPUs, storage, management
constexpr std::size_t kMaxDevices = 32;     // of one VM: 8 GPUs with their switches, and drives

// What the network between hosts leaves for tenants' packets.
struct UnderlayLimits {
  IpFamily family = IpFamily::kV4;  // of the tunnels' outer headers
  std::uint32_t mtu_bytes = 1500;
};

// The intent alone: addresses that a VM may have, none twice, policy groups each once, and MTUs that fit the
// underlay (which is at least kMinMtuBytes and the tunnel's headers). Returns the intent with the MTUs that
// its interfaces get.
Result<AttachIntent> check_intent(AttachIntent intent, const UnderlayLimits& underlay);

// The devices of the intent alone, and against those of the attachments of this host (all of them: who is
// quarantined has its devices still). INVALID_ARGUMENT (TOO_MANY_DEVICES, DEVICE_TWICE), ALREADY_EXISTS
// (DEVICE_TAKEN; DEVICE_GROUP_TAKEN: another one's in the same IOMMU group; VM_HAS_DEVICES: with another
// interface), and what HostDevices::check() says of each. `host_devices`: nullptr when this host gives none
// away.
Result<void> check_devices(const AttachIntent& intent, std::span<const Attachment> all,
                           const host::HostDevices* host_devices);

// INVALID_ARGUMENT (POLICY_GROUP_TWICE, TOO_MANY_POLICY_GROUPS) of that field.
Result<void> check_policy_groups(std::span<const dataplane::PolicyGroupId> groups, const std::string& field);
// One that the VPC does not have.
std::optional<dataplane::PolicyGroupId> find_missing_group(std::span<const dataplane::PolicyGroupId> groups,
                                                           const dataplane::Vpc& vpc);
// What interfaces shall be near: NOT_FOUND (PCI_DEVICE_UNKNOWN), FAILED_PRECONDITION (IS_A_BRIDGE).
Result<void> check_near(const AttachIntent& intent, const host::HostDevices* host_devices);

// One interface of an intent.
struct WantedInterface {
  const VmId& vm;
  const InterfaceIntent& interface;
  std::size_t number = 0;  // its place in the intent, for the names of bad fields
};

// An interface against its VPC and those that are in it: on this host (`local`: at least
// AttachmentStore::rivals_of()) and on others (`mappings`: the VPC's; those that point to `own_vtep` do not
// count).
Result<void> check_against_vpc(const WantedInterface& wanted, const dataplane::Vpc& vpc,
                               std::span<const PortOwner> local, const dataplane::MappingIndex& mappings,
                               const IpAddress& own_vtep);

// Mappings and routes of `vpc` whose tunnel endpoint this host cannot reach at all: its own is of the other
// family.
std::vector<dataplane::ResourceError> check_vteps(const dataplane::Vpc& vpc, const IpAddress& own_vtep);

// Mappings of `vpc` to other hosts whose address this host might hand out.
std::vector<dataplane::ResourceError> check_host_blocks(const dataplane::Vpc& vpc, const IpAddress& own_vtep);

// The reverse: what a push would do to the VMs that are attached here.
std::vector<dataplane::ResourceError> check_push(const dataplane::VpcSet& vpcs,
                                                 std::span<const Attachment> local,
                                                 const IpAddress& own_vtep);

}  // namespace berth::agent
