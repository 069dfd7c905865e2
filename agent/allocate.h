// Which addresses the interfaces of an intent get, where it leaves that to the host. Pure.
#pragma once

#include "agent/address_pool.h"
#include "agent/attachment_store.h"
#include "agent/vpc_store.h"

#include <vector>

namespace berth::agent {

// The intent with an address for each subnet of InterfaceIntent::allocate, behind those that it has; its VPCs
// are known. Nothing is taken by this: it has to be in `attachments` before anybody else asks.
// INVALID_ARGUMENT (SUBNET_UNKNOWN), RESOURCE_EXHAUSTED (ADDRESSES_EXHAUSTED, with the numbers).
Result<AttachIntent> allocate_addresses(AttachIntent intent, const VpcStore& vpcs,
                                        const AttachmentStore& attachments, const AddressPool& pool);

// Of a subnet that has blocks of this host.
struct AddressCapacity {
  VpcId vpc;
  IpPrefix subnet;
  std::uint64_t total = 0;  // 2^64 - 1: that many and more
  std::uint64_t free = 0;
};

// By VPC, and in the order of its subnets.
std::vector<AddressCapacity> address_capacity(const VpcStore& vpcs, const AttachmentStore& attachments);

// What goes back to the pool with an attachment: those of its addresses that are in blocks of this host,
// whoever chose them.
std::vector<FreedAddress> addresses_to_free(const Attachment& attachment, const VpcStore& vpcs);

}  // namespace berth::agent
