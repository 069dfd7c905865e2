#include "agent/allocate.h"

#include <algorithm>
#include <utility>

namespace berth::agent {
namespace {

AddressCapacity capacity_of(const dataplane::Vpc& vpc, const dataplane::Subnet& subnet,
                            const AttachmentStore& attachments) {
  const std::uint64_t total = count_in_blocks(subnet);
  const std::size_t taken = attachments.count_ips(
      vpc.id, [&](const IpAddress& ip) { return subnet.prefix.contains(ip) && is_in_blocks(vpc, ip); });
  return {.vpc = vpc.id, .subnet = subnet.prefix, .total = total, .free = total > taken ? total - taken : 0};
}

bool has_ip(const AttachIntent& intent, const VpcId& vpc, const IpAddress& ip) {
  return std::ranges::any_of(intent.interfaces, [&](const InterfaceIntent& one) {
    return one.vpc == vpc && std::ranges::find(one.ips, ip) != one.ips.end();
  });
}

// `intent` as it was asked.
std::unexpected<Error> exhausted(const AttachIntent& intent, const AddressCapacity& capacity) {
  const auto needed = std::ranges::count_if(intent.interfaces, [&](const InterfaceIntent& one) {
    return one.vpc == capacity.vpc && std::ranges::find(one.allocate, capacity.subnet) != one.allocate.end();
  });
  Error error{.code = Code::kResourceExhausted,
              .message = fmt::format("{} addresses of {} in VPC {} are needed, and {} of {} are free", needed,
                                     capacity.subnet, capacity.vpc, capacity.free, capacity.total),
              .reason = "ADDRESSES_EXHAUSTED"};
  error.metadata = {{"needed", std::to_string(needed)},
                    {"free", std::to_string(capacity.free)},
                    {"total", std::to_string(capacity.total)}};
  return std::unexpected(std::move(error));
}

}  // namespace

Result<AttachIntent> allocate_addresses(AttachIntent intent, const VpcStore& vpcs,
                                        const AttachmentStore& attachments, const AddressPool& pool) {
  const AttachIntent asked = intent;
  for (std::size_t i = 0; i < intent.interfaces.size(); ++i) {
    InterfaceIntent& one = intent.interfaces[i];
    for (const IpPrefix& wanted : one.allocate) {
      const dataplane::Vpc& vpc = *vpcs.find(one.vpc);
      const auto subnet = std::ranges::find(vpc.subnets, wanted, &dataplane::Subnet::prefix);
      if (subnet == vpc.subnets.end()) {
        return fail_field(fmt::format("interfaces[{}].allocate", i), "SUBNET_UNKNOWN",
                          fmt::format("VPC {} has no subnet {}", vpc.id, wanted));
      }
      const auto is_taken = [&](const IpAddress& ip) {
        return attachments.has_ip(vpc.id, ip) || has_ip(intent, vpc.id, ip);
      };
      const auto ip = pool.choose(vpc.id, *subnet, is_taken);
      if (!ip) return exhausted(asked, capacity_of(vpc, *subnet, attachments));
      one.ips.push_back(*ip);
    }
  }
  return intent;
}

std::vector<AddressCapacity> address_capacity(const VpcStore& vpcs, const AttachmentStore& attachments) {
  std::vector<AddressCapacity> all;
  for (const auto& [id, vpc] : vpcs.all()) {
    for (const dataplane::Subnet& subnet : vpc->subnets) {
      if (!subnet.host_blocks.empty()) all.push_back(capacity_of(*vpc, subnet, attachments));
    }
  }
  return all;
}

std::vector<FreedAddress> addresses_to_free(const Attachment& attachment, const VpcStore& vpcs) {
  std::vector<FreedAddress> freed;
  for (const Interface& one : attachment.interfaces) {
    const dataplane::Vpc* vpc = vpcs.find(one.intent.vpc);
    for (const IpAddress& ip : one.intent.ips) {
      if (vpc != nullptr && is_in_blocks(*vpc, ip)) freed.push_back({one.intent.vpc, ip});
    }
  }
  return freed;
}

}  // namespace berth::agent
