#include "agent/admission.h"

#include "agent/address_pool.h"
#include "dataplane/pipeline.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace berth::agent {
namespace {

std::unexpected<Error> taken(std::string reason, std::string message) {
  return fail(Code::kAlreadyExists, std::move(reason), std::move(message));
}

std::string field(std::size_t number, std::string_view name) {
  return fmt::format("interfaces[{}].{}", number, name);
}

bool has_ip(const InterfaceIntent& intent, const IpAddress& ip) {
  return std::ranges::find(intent.ips, ip) != intent.ips.end();
}

bool has_device(const Attachment& attachment, host::PciAddress address) {
  const auto is_at = [&](const Interface& one) { return one.function.address == address; };
  return std::ranges::any_of(attachment.interfaces, is_at) ||
         std::ranges::find(attachment.devices, address) != attachment.devices.end();
}

Result<std::uint32_t> fit_mtu(const InterfaceIntent& intent, std::size_t number,
                              const UnderlayLimits& underlay) {
  const std::uint32_t overhead = dataplane::vxlan_overhead_bytes(underlay.family);
  const std::uint32_t largest = underlay.mtu_bytes - overhead;
  if (intent.mtu_bytes == 0) return largest;
  if (intent.mtu_bytes > largest) {
    return fail_field(field(number, "mtu_bytes"), "MTU_TOO_LARGE",
                      fmt::format("{} and {} of tunnel headers exceed the underlay's {}", intent.mtu_bytes,
                                  overhead, underlay.mtu_bytes));
  }
  const auto is_v6 = [](const auto& one) { return one.family() == IpFamily::kV6; };
  const bool has_v6 = std::ranges::any_of(intent.ips, is_v6) || std::ranges::any_of(intent.allocate, is_v6);
  const std::uint32_t smallest = has_v6 ? kMinIpv6MtuBytes : kMinMtuBytes;
  if (intent.mtu_bytes < smallest) {
    return fail_field(field(number, "mtu_bytes"), "MTU_TOO_SMALL",
                      fmt::format("{} is below {}", intent.mtu_bytes, smallest));
  }
  return intent.mtu_bytes;
}

Result<void> check_addresses(const InterfaceIntent& intent, std::size_t number) {
  std::vector<IpFamily> families;
  const auto take = [&](const auto& some, std::string_view name) -> Result<void> {
    for (const auto& one : some) {
      if (std::ranges::find(families, one.family()) != families.end())
        return fail_field(field(number, name), "IP_FAMILY_TWICE", "at most one address of each family");
      families.push_back(one.family());
    }
    return {};
  };
  if (const auto good = take(intent.ips, "ips"); !good) return good;
  if (const auto good = take(intent.allocate, "allocate"); !good) return good;
  if (families.empty()) return fail_field(field(number, "ips"), "NO_IP", "an interface needs an address");
  if (intent.mac.is_multicast() || intent.mac.is_zero()) {
    return fail_field(field(number, "mac"), "MAC_NOT_UNICAST",
                      fmt::format("{} is not a unicast address", intent.mac));
  }
  return {};
}

// Against the interfaces before it.
Result<void> check_siblings(const std::vector<InterfaceIntent>& interfaces, std::size_t number) {
  const InterfaceIntent& one = interfaces[number];
  for (std::size_t i = 0; i < number; ++i) {
    const InterfaceIntent& other = interfaces[i];
    if (other.vpc != one.vpc) continue;
    for (const IpAddress& ip : one.ips) {
      if (has_ip(other, ip))
        return fail_field(field(number, "ips"), "IP_TWICE", fmt::format("{} is that of interface {}", ip, i));
    }
    if (other.mac == one.mac)
      return fail_field(field(number, "mac"), "MAC_TWICE",
                        fmt::format("{} is that of interface {}", one.mac, i));
  }
  return {};
}

}  // namespace

Result<AttachIntent> check_intent(AttachIntent intent, const UnderlayLimits& underlay) {
  if (intent.interfaces.empty())
    return fail_field("interfaces", "NO_INTERFACE", "an attachment has at least one");
  if (intent.interfaces.size() > kMaxInterfaces)
    return fail_field("interfaces", "TOO_MANY_INTERFACES",
                      fmt::format("{} exceed {}", intent.interfaces.size(), kMaxInterfaces));
  for (std::size_t i = 0; i < intent.interfaces.size(); ++i) {
    if (auto checked = check_addresses(intent.interfaces[i], i); !checked) return pass(checked);
    if (auto checked = check_siblings(intent.interfaces, i); !checked) return pass(checked);
    const auto grouped = check_policy_groups(intent.interfaces[i].policy_groups, field(i, "policy_groups"));
    if (!grouped) return pass(grouped);
    const auto mtu = fit_mtu(intent.interfaces[i], i, underlay);
    if (!mtu) return pass(mtu);
    intent.interfaces[i].mtu_bytes = *mtu;
  }
  return intent;
}

Result<void> check_devices(const AttachIntent& intent, std::span<const Attachment> all,
                           const host::HostDevices* host_devices) {
  const auto& devices = intent.devices;
  if (devices.size() > kMaxDevices)
    return fail_field("devices", "TOO_MANY_DEVICES",
                      fmt::format("{} exceed {}", devices.size(), kMaxDevices));
  for (const Attachment& other : all) {
    if (!devices.empty() && other.vm == intent.vm && !other.devices.empty())
      return taken("VM_HAS_DEVICES", fmt::format("VM {} has its devices with {}", intent.vm, other.id));
  }
  for (auto device = devices.begin(); device != devices.end(); ++device) {
    if (std::find(devices.begin(), device, *device) != device)
      return fail_field("devices", "DEVICE_TWICE", fmt::format("{} is in the list twice", *device));
    for (const Attachment& other : all) {
      if (has_device(other, *device))
        return taken("DEVICE_TAKEN", fmt::format("{} is that of VM {}", *device, other.vm));
    }
    if (host_devices == nullptr) return host::device_not_allowed(*device);
    const auto allowed = host_devices->check(*device);
    if (!allowed) return pass(allowed);
    for (const host::PciAddress& neighbour : host_devices->group_neighbours(*device)) {
      for (const Attachment& other : all) {
        if (has_device(other, neighbour))
          return taken("DEVICE_GROUP_TAKEN", fmt::format("{} shares its IOMMU group with {} of VM {}",
                                                         *device, neighbour, other.vm));
      }
    }
  }
  return {};
}

Result<void> check_policy_groups(std::span<const dataplane::PolicyGroupId> groups, const std::string& field) {
  if (groups.size() > dataplane::kMaxPolicyGroupsPerSet) {
    return fail_field(field, "TOO_MANY_POLICY_GROUPS",
                      fmt::format("{} exceed {}", groups.size(), dataplane::kMaxPolicyGroupsPerSet));
  }
  for (auto group = groups.begin(); group != groups.end(); ++group) {
    if (std::find(groups.begin(), group, *group) != group)
      return fail_field(field, "POLICY_GROUP_TWICE", fmt::format("{} is in the list twice", *group));
  }
  return {};
}

std::optional<dataplane::PolicyGroupId> find_missing_group(std::span<const dataplane::PolicyGroupId> groups,
                                                           const dataplane::Vpc& vpc) {
  const auto missing = std::ranges::find_if(groups, [&](const dataplane::PolicyGroupId& group) {
    return find_policy_group(vpc, group) == nullptr;
  });
  if (missing == groups.end()) return std::nullopt;
  return *missing;
}

Result<void> check_near(const AttachIntent& intent, const host::HostDevices* host_devices) {
  for (std::size_t i = 0; i < intent.interfaces.size(); ++i) {
    const auto& near = intent.interfaces[i].near;
    if (!near) continue;
    if (host_devices == nullptr) {
      return fail(Code::kNotFound, "PCI_DEVICE_UNKNOWN",
                  fmt::format("{}: the devices of this host are not known", field(i, "near")));
    }
    const auto there = host_devices->check_there(*near);
    if (!there) return pass(there, field(i, "near"));
  }
  return {};
}

Result<void> check_against_vpc(const WantedInterface& wanted, const dataplane::Vpc& vpc,
                               std::span<const PortOwner> local, const dataplane::MappingIndex& mappings,
                               const IpAddress& own_vtep) {
  const InterfaceIntent& intent = wanted.interface;
  for (const IpAddress& ip : intent.ips) {
    const auto subnet = find_subnet(vpc, ip);
    if (!subnet) {
      return fail_field(field(wanted.number, "ips"), "IP_OUTSIDE_SUBNET",
                        fmt::format("{} is in no subnet of VPC {}", ip, vpc.id));
    }
    if (is_reserved(*subnet, ip)) {
      return fail_field(
          field(wanted.number, "ips"), "IP_RESERVED",
          fmt::format("{} is the network, broadcast or gateway address of {}", ip, subnet->prefix));
    }
  }
  for (const PortOwner& other : local) {
    const VmId& owner = other.attachment->vm;
    if (owner == wanted.vm) {
      return taken("VM_ALREADY_ATTACHED",
                   fmt::format("VM {} is in VPC {} as {}", owner, vpc.id, other.attachment->id));
    }
    for (const IpAddress& ip : intent.ips) {
      if (has_ip(other.interface->intent, ip))
        return taken("IP_TAKEN", fmt::format("{} in VPC {} is that of VM {}", ip, vpc.id, owner));
    }
    if (other.interface->intent.mac == intent.mac)
      return taken("MAC_TAKEN", fmt::format("{} in VPC {} is that of VM {}", intent.mac, vpc.id, owner));
  }
  for (const dataplane::Mapping& mapping : mappings.find(intent.ips, intent.mac)) {
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
  std::map<VpcId, dataplane::MappingIndex> mappings;
  for (const Attachment& attachment : local) {
    if (attachment.is_withdrawn) continue;
    for (const Interface& interface : attachment.interfaces) {
      const InterfaceIntent& intent = interface.intent;
      const std::string name = fmt::format("vpc/{}", intent.vpc);
      const auto vpc = vpcs.find(intent.vpc);
      if (vpc == vpcs.end()) {
        found.push_back(
            {name, Error{Code::kFailedPrecondition,
                         fmt::format("VM {} is attached to it on this host", attachment.vm), "VPC_IN_USE"}});
        continue;
      }
      auto group = find_missing_group(intent.policy_groups, *vpc->second);
      if (!group && interface.other)
        group = find_missing_group(interface.other->policy_groups, *vpc->second);  // it is being updated
      if (group) {
        found.push_back(
            {fmt::format("{}/policy_group/{}", name, *group),
             Error{Code::kFailedPrecondition, fmt::format("VM {} is in it on this host", attachment.vm),
                   "POLICY_GROUP_IN_USE"}});
      }
      // The VM itself is no conflict; everybody else in the new VPC may be.
      const auto& index = mappings.try_emplace(intent.vpc, *vpc->second).first->second;
      const auto fits =
          check_against_vpc({.vm = attachment.vm, .interface = intent}, *vpc->second, {}, index, own_vtep);
      if (!fits) {
        Error error = fits.error();
        error.code = Code::kFailedPrecondition;
        error.violations.clear();
        found.push_back({name, std::move(error).in(fmt::format("attached VM {}", attachment.vm))});
      }
    }
  }
  return found;
}

std::vector<dataplane::ResourceError> check_host_blocks(const dataplane::Vpc& vpc,
                                                        const IpAddress& own_vtep) {
  std::vector<dataplane::ResourceError> found;
  for (const dataplane::Mapping& mapping : vpc.mappings) {
    if (mapping.vtep == own_vtep || !is_in_blocks(vpc, mapping.ip)) continue;
    found.push_back({fmt::format("vpc/{}/mapping/{}", vpc.id, mapping.ip),
                     Error{Code::kInvalidArgument,
                           fmt::format("{} is at {}, and in a block of this host", mapping.ip, mapping.vtep),
                           "HOST_BLOCK_MAPPED"}});
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
