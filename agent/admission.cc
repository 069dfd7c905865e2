#include "agent/admission.h"

#include "dataplane/pipeline.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::agent {
namespace {

std::unexpected<Error> taken(std::string reason, std::string message) {
  return fail(Code::kAlreadyExists, std::move(reason), std::move(message));
}

bool has_ip(const AttachIntent& intent, const IpAddress& ip) {
  return std::ranges::find(intent.ips, ip) != intent.ips.end();
}

bool has_device(const Attachment& attachment, host::PciAddress address) {
  const auto& devices = attachment.intent.devices;
  return attachment.function.address == address || std::ranges::find(devices, address) != devices.end();
}

}  // namespace

Result<std::uint32_t> check_intent(const AttachIntent& intent, const UnderlayLimits& underlay) {
  if (intent.ips.empty()) return fail_field("interface.ips", "NO_IP", "an interface needs an address");
  if (intent.ips.size() > 2 || (intent.ips.size() == 2 && intent.ips[0].family() == intent.ips[1].family())) {
    return fail_field("interface.ips", "IP_FAMILY_TWICE", "at most one address of each family");
  }
  if (intent.mac.is_multicast() || intent.mac.is_zero()) {
    return fail_field("interface.mac", "MAC_NOT_UNICAST",
                      fmt::format("{} is not a unicast address", intent.mac));
  }
  const std::uint32_t overhead = dataplane::vxlan_overhead_bytes(underlay.family);
  const std::uint32_t largest = underlay.mtu_bytes - overhead;
  if (intent.mtu_bytes == 0) return largest;
  if (intent.mtu_bytes > largest) {
    return fail_field("interface.mtu_bytes", "MTU_TOO_LARGE",
                      fmt::format("{} and {} of tunnel headers exceed the underlay's {}", intent.mtu_bytes,
                                  overhead, underlay.mtu_bytes));
  }
  const bool has_v6 = std::ranges::any_of(intent.ips, [](const IpAddress& ip) { return !ip.is_v4(); });
  const std::uint32_t smallest = has_v6 ? kMinIpv6MtuBytes : kMinMtuBytes;
  if (intent.mtu_bytes < smallest) {
    return fail_field("interface.mtu_bytes", "MTU_TOO_SMALL",
                      fmt::format("{} is below {}", intent.mtu_bytes, smallest));
  }
  return intent.mtu_bytes;
}

Result<void> check_devices(const AttachIntent& intent, std::span<const Attachment> all,
                           const host::HostDevices* host_devices) {
  const auto& devices = intent.devices;
  if (devices.size() > kMaxDevices)
    return fail_field("devices", "TOO_MANY_DEVICES",
                      fmt::format("{} exceed {}", devices.size(), kMaxDevices));
  for (const Attachment& other : all) {
    if (!devices.empty() && other.intent.vm == intent.vm && !other.intent.devices.empty())
      return taken("VM_HAS_DEVICES", fmt::format("VM {} has its devices with {}", intent.vm, other.id));
  }
  for (auto device = devices.begin(); device != devices.end(); ++device) {
    if (std::find(devices.begin(), device, *device) != device)
      return fail_field("devices", "DEVICE_TWICE", fmt::format("{} is in the list twice", *device));
    for (const Attachment& other : all) {
      if (has_device(other, *device))
        return taken("DEVICE_TAKEN", fmt::format("{} is that of VM {}", *device, other.intent.vm));
    }
    if (host_devices == nullptr) return host::device_not_allowed(*device);
    const auto allowed = host_devices->check(*device);
    if (!allowed) return pass(allowed);
    for (const host::PciAddress& neighbour : host_devices->group_neighbours(*device)) {
      for (const Attachment& other : all) {
        if (has_device(other, neighbour))
          return taken("DEVICE_GROUP_TAKEN", fmt::format("{} shares its IOMMU group with {} of VM {}",
                                                         *device, neighbour, other.intent.vm));
      }
    }
  }
  return {};
}

Result<void> check_against_vpc(const AttachIntent& intent, const dataplane::Vpc& vpc,
                               std::span<const Attachment> local, const IpAddress& own_vtep) {
  for (const IpAddress& ip : intent.ips) {
    const auto subnet = find_subnet(vpc, ip);
    if (!subnet) {
      return fail_field("interface.ips", "IP_OUTSIDE_SUBNET",
                        fmt::format("{} is in no subnet of VPC {}", ip, vpc.id));
    }
    if (is_reserved(*subnet, ip)) {
      return fail_field(
          "interface.ips", "IP_RESERVED",
          fmt::format("{} is the network, broadcast or gateway address of {}", ip, subnet->prefix));
    }
  }
  for (const Attachment& other : local) {
    if (other.intent.vm == intent.vm) {
      return taken("VM_ALREADY_ATTACHED",
                   fmt::format("VM {} is in VPC {} as {}", intent.vm, vpc.id, other.id));
    }
    for (const IpAddress& ip : intent.ips) {
      if (has_ip(other.intent, ip))
        return taken("IP_TAKEN", fmt::format("{} in VPC {} is that of VM {}", ip, vpc.id, other.intent.vm));
    }
    if (other.intent.mac == intent.mac) {
      return taken("MAC_TAKEN",
                   fmt::format("{} in VPC {} is that of VM {}", intent.mac, vpc.id, other.intent.vm));
    }
  }
  for (const dataplane::Mapping& mapping : vpc.mappings) {
    if (mapping.vtep == own_vtep) continue;
    if (has_ip(intent, mapping.ip)) {
      return taken("IP_TAKEN", fmt::format("{} in VPC {} is at {}", mapping.ip, vpc.id, mapping.vtep));
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

std::vector<dataplane::ResourceError> check_vteps(const dataplane::Vpc& vpc, const IpAddress& own_vtep) {
  std::vector<dataplane::ResourceError> found;
  const auto check = [&](std::string_view kind, const std::string& name, const IpAddress& vtep) {
    if (vtep.family() == own_vtep.family()) return;
    found.push_back(
        {fmt::format("vpc/{}/{}/{}", vpc.id, kind, name),
         Error{Code::kInvalidArgument,
               fmt::format("{} is not of the family of this host's {}", vtep, own_vtep), "VTEP_FAMILY"}});
  };
  for (const dataplane::Mapping& mapping : vpc.mappings) check("mapping", mapping.ip.str(), mapping.vtep);
  for (const dataplane::Route& route : vpc.routes) check("route", route.prefix.str(), route.vtep);
  return found;
}

}  // namespace berth::agent
