#include "agent/admission.h"

#include "dataplane/pipeline.h"

#include <fmt/format.h>

namespace berth::agent {
namespace {

std::unexpected<Error> taken(std::string reason, std::string message) {
  return fail(Code::kAlreadyExists, std::move(reason), std::move(message));
}

}  // namespace

Result<std::uint32_t> check_intent(const AttachIntent& intent, std::uint32_t underlay_mtu_bytes) {
  if (!intent.ip.is_v4())
    return fail_field("interface.ip", "IP_FAMILY_UNSUPPORTED", "only IPv4 is supported");
  if (intent.mac.is_multicast() || intent.mac.is_zero()) {
    return fail_field("interface.mac", "MAC_NOT_UNICAST",
                      fmt::format("{} is not a unicast address", intent.mac));
  }
  const std::uint32_t largest = underlay_mtu_bytes - dataplane::kVxlanOverheadBytesV4;
  if (intent.mtu_bytes == 0) return largest;
  if (intent.mtu_bytes > largest) {
    return fail_field("interface.mtu_bytes", "MTU_TOO_LARGE",
                      fmt::format("{} and {} of tunnel headers exceed the underlay's {}", intent.mtu_bytes,
                                  dataplane::kVxlanOverheadBytesV4, underlay_mtu_bytes));
  }
  if (intent.mtu_bytes < kMinMtuBytes) {
    return fail_field("interface.mtu_bytes", "MTU_TOO_SMALL",
                      fmt::format("{} is below {}", intent.mtu_bytes, kMinMtuBytes));
  }
  return intent.mtu_bytes;
}

Result<void> check_against_vpc(const AttachIntent& intent, const dataplane::Vpc& vpc,
                               std::span<const Attachment> local, const IpAddress& own_vtep) {
  const auto subnet = find_subnet(vpc, intent.ip);
  if (!subnet) {
    return fail_field("interface.ip", "IP_OUTSIDE_SUBNET",
                      fmt::format("{} is in no subnet of VPC {}", intent.ip, vpc.id));
  }
  if (is_reserved(*subnet, intent.ip)) {
    return fail_field(
        "interface.ip", "IP_RESERVED",
        fmt::format("{} is the network, broadcast or gateway address of {}", intent.ip, subnet->prefix));
  }
  for (const Attachment& other : local) {
    if (other.intent.vm == intent.vm) {
      return taken("VM_ALREADY_ATTACHED",
                   fmt::format("VM {} is in VPC {} as {}", intent.vm, vpc.id, other.id));
    }
    if (other.intent.ip == intent.ip) {
      return taken("IP_TAKEN",
                   fmt::format("{} in VPC {} is that of VM {}", intent.ip, vpc.id, other.intent.vm));
    }
    if (other.intent.mac == intent.mac) {
      return taken("MAC_TAKEN",
                   fmt::format("{} in VPC {} is that of VM {}", intent.mac, vpc.id, other.intent.vm));
    }
  }
  for (const dataplane::Mapping& mapping : vpc.mappings) {
    if (mapping.vtep == own_vtep) continue;
    if (mapping.ip == intent.ip) {
      return taken("IP_TAKEN", fmt::format("{} in VPC {} is at {}", intent.ip, vpc.id, mapping.vtep));
    }
    if (mapping.mac == intent.mac) {
      return taken("MAC_TAKEN", fmt::format("{} in VPC {} is at {}", intent.mac, vpc.id, mapping.vtep));
    }
  }
  return {};
}

std::vector<dataplane::ResourceError> check_push(const dataplane::VpcSet& vpcs,
                                                 std::span<const Attachment> local,
                                                 const IpAddress& own_vtep) {
  std::vector<dataplane::ResourceError> found;
  for (const Attachment& attachment : local) {
    if (attachment.is_withdrawn) continue;
    const AttachIntent& intent = attachment.intent;
    const std::string name = fmt::format("vpc/{}", intent.vpc);
    const auto vpc = vpcs.find(intent.vpc);
    if (vpc == vpcs.end()) {
      found.push_back(
          {name, Error{Code::kFailedPrecondition,
                       fmt::format("VM {} is attached to it on this host", intent.vm), "VPC_IN_USE"}});
      continue;
    }
    // The VM itself is no conflict; everybody else in the new VPC may be.
    const auto fits = check_against_vpc(intent, *vpc->second, {}, own_vtep);
    if (!fits) {
      Error error = fits.error();
      error.code = Code::kFailedPrecondition;
      error.violations.clear();
      found.push_back({name, std::move(error).in(fmt::format("attached VM {}", intent.vm))});
    }
  }
  return found;
}

}  // namespace berth::agent
