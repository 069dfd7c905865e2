#include "host/netlink/link_messages.h"

#include "host/netlink/nl_address.h"
#include "host/netlink/nl_message.h"

#include <algorithm>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <utility>

#include <netlink/attr.h>

namespace berth::host {
namespace {

constexpr std::uint32_t kUnknownSetting = ~0U;  // what the kernel says where a driver does not

NlMessage start_link(int type, NlFlags flags, int ifindex, unsigned int interface_flags = 0,
                     unsigned int interface_flags_changed = 0) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  header.ifi_flags = interface_flags;
  header.ifi_change = interface_flags_changed;
  return start_message(type, flags, std::as_bytes(std::span(&header, 1)));
}

template <typename Value>
void put(const NlMessage& message, int type, const Value& value) {
  nla_put(message.get(), type, sizeof value, &value);
}

// `fill` puts the attributes of one VF.
template <typename Fill>
Bytes format_vf_set(int ifindex, Fill fill) {
  const NlMessage message = start_link(RTM_SETLINK, NlFlags::kOne, ifindex);
  put_nest(message, IFLA_VFINFO_LIST,
           [&] { put_nest(message, IFLA_VF_INFO, [&] { std::move(fill)(message); }); });
  return finish_message(message);
}

std::string to_hexadecimal(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned int>(byte));
  return text;
}

std::optional<bool> setting_in(const std::optional<std::span<const std::byte>>& value) {
  const auto setting = value ? structure_in<ifla_vf_trust>(*value) : std::nullopt;
  if (!setting || setting->setting == kUnknownSetting) return std::nullopt;
  return setting->setting != 0;
}

std::optional<std::uint64_t> guid_in(const std::optional<std::span<const std::byte>>& value) {
  const auto guid = value ? structure_in<ifla_vf_guid>(*value) : std::nullopt;
  return guid ? std::optional(guid->guid) : std::nullopt;
}

VfInfo parse_vf(const NlAttributes& attributes, const ifla_vf_mac& mac) {
  VfInfo info;
  MacAddress address;
  std::copy_n(std::begin(mac.mac), address.bytes.size(), address.bytes.begin());
  info.settings.mac = address;
  if (const auto value = attributes.find(IFLA_VF_RATE)) {
    if (const auto rate = structure_in<ifla_vf_rate>(*value))
      info.settings.rate = VfRate{.min_mbits = rate->min_tx_rate, .max_mbits = rate->max_tx_rate};
  }
  static_assert(sizeof(ifla_vf_trust) == sizeof(ifla_vf_spoofchk));
  info.settings.is_spoof_checked = setting_in(attributes.find(IFLA_VF_SPOOFCHK));
  info.settings.is_trusted = setting_in(attributes.find(IFLA_VF_TRUST));
  const auto node = guid_in(attributes.find(IFLA_VF_IB_NODE_GUID));
  const auto port = guid_in(attributes.find(IFLA_VF_IB_PORT_GUID));
  if (node && port) info.guids = VfGuids{*node, *port};
  return info;
}

}  // namespace

Bytes format_link_get(int ifindex) {
  return finish_message(start_link(RTM_GETLINK, NlFlags::kOne, ifindex));
}

Bytes format_links_list() {
  return finish_message(start_link(RTM_GETLINK, NlFlags::kList, 0));
}

std::optional<Link> parse_link(const Bytes& message) {
  const auto header = structure_in<nlmsghdr>(message);
  if (!header || header->nlmsg_type != RTM_NEWLINK) return std::nullopt;
  const auto info = structure_in<ifinfomsg>(std::span(message).subspan(NLMSG_HDRLEN));
  if (!info) return std::nullopt;
  const auto attributes = NlAttributes::of_message(message, sizeof(ifinfomsg));
  Link link;
  link.ifindex = info->ifi_index;
  link.is_up = (info->ifi_flags & IFF_UP) != 0;
  link.name = attributes.text(IFLA_IFNAME).value_or("");
  link.mtu_bytes = attributes.u32(IFLA_MTU).value_or(0);
  link.master = static_cast<int>(attributes.u32(IFLA_MASTER).value_or(0));
  if (const auto id = attributes.find(IFLA_PHYS_SWITCH_ID)) link.switch_id = to_hexadecimal(*id);
  if (const auto name = attributes.text(IFLA_PHYS_PORT_NAME)) {
    if (const auto port = PortName::parse(*name)) link.port = *port;  // other drivers have other names
  }
  if (const auto mac = attributes.find(IFLA_ADDRESS); mac && mac->size() == link.mac.bytes.size())
    std::memcpy(link.mac.bytes.data(), mac->data(), mac->size());
  return link;
}

Bytes format_link_set(int ifindex, const LinkChange& change) {
  const unsigned int up = change.is_up.value_or(false) ? IFF_UP : 0U;
  const NlMessage message = start_link(RTM_SETLINK, NlFlags::kOne, ifindex, up,
                                       change.is_up ? static_cast<unsigned int>(IFF_UP) : 0U);
  if (change.mtu_bytes) nla_put_u32(message.get(), IFLA_MTU, *change.mtu_bytes);
  if (change.leaves_master) nla_put_u32(message.get(), IFLA_MASTER, 0);
  return finish_message(message);
}

Bytes format_vfs_get(int ifindex) {
  const NlMessage message = start_link(RTM_GETLINK, NlFlags::kOne, ifindex);
  nla_put_u32(message.get(), IFLA_EXT_MASK, RTEXT_FILTER_VF);
  return finish_message(message);
}

std::map<std::uint32_t, VfInfo> parse_vfs(const Bytes& message) {
  std::map<std::uint32_t, VfInfo> vfs;
  const auto attributes = NlAttributes::of_message(message, sizeof(ifinfomsg));
  attributes.nest(IFLA_VFINFO_LIST).for_each(IFLA_VF_INFO, [&](NlAttributes::Span value) {
    const NlAttributes of_vf(value);
    const auto mac = of_vf.find(IFLA_VF_MAC);  // every VF has it, and its number is in there
    const auto numbered = mac ? structure_in<ifla_vf_mac>(*mac) : std::nullopt;
    if (numbered) vfs[numbered->vf] = parse_vf(of_vf, *numbered);
  });
  return vfs;
}

Bytes format_vf_mac_set(int ifindex, std::uint32_t vf, const MacAddress& mac) {
  return format_vf_set(ifindex, [&](const NlMessage& message) {
    ifla_vf_mac value{};
    value.vf = vf;
    std::ranges::copy(mac.bytes, std::begin(value.mac));
    put(message, IFLA_VF_MAC, value);
  });
}

Bytes format_vf_rate_set(int ifindex, std::uint32_t vf, const VfRate& rate) {
  return format_vf_set(ifindex, [&](const NlMessage& message) {
    put(message, IFLA_VF_RATE,
        ifla_vf_rate{.vf = vf, .min_tx_rate = rate.min_mbits, .max_tx_rate = rate.max_mbits});
  });
}

Bytes format_vf_trust_set(int ifindex, std::uint32_t vf, bool is_trusted) {
  return format_vf_set(ifindex, [&](const NlMessage& message) {
    put(message, IFLA_VF_TRUST, ifla_vf_trust{.vf = vf, .setting = is_trusted ? 1U : 0U});
  });
}

Bytes format_vf_spoof_check_set(int ifindex, std::uint32_t vf, bool is_checked) {
  return format_vf_set(ifindex, [&](const NlMessage& message) {
    put(message, IFLA_VF_SPOOFCHK, ifla_vf_spoofchk{.vf = vf, .setting = is_checked ? 1U : 0U});
  });
}

Bytes format_vf_guids_set(int ifindex, std::uint32_t vf, const VfGuids& guids) {
  return format_vf_set(ifindex, [&](const NlMessage& message) {
    ifla_vf_guid value{};
    value.vf = vf;
    value.guid = guids.node;
    put(message, IFLA_VF_IB_NODE_GUID, value);
    value.guid = guids.port;
    put(message, IFLA_VF_IB_PORT_GUID, value);
  });
}

Bytes format_addresses_list() {
  const ifaddrmsg header{};
  return finish_message(start_message(RTM_GETADDR, NlFlags::kList, std::as_bytes(std::span(&header, 1))));
}

std::optional<LinkAddress> parse_address(const Bytes& message) {
  const auto header = structure_in<nlmsghdr>(message);
  if (!header || header->nlmsg_type != RTM_NEWADDR) return std::nullopt;
  const auto info = structure_in<ifaddrmsg>(std::span(message).subspan(NLMSG_HDRLEN));
  if (!info) return std::nullopt;
  const auto attributes = NlAttributes::of_message(message, sizeof(ifaddrmsg));
  // IFA_ADDRESS is the peer's on point-to-point links; IFA_LOCAL is there for IPv4 only.
  auto value = attributes.find(IFA_LOCAL);
  if (!value) value = attributes.find(IFA_ADDRESS);
  const auto ip = value ? to_ip_address(*value) : std::nullopt;
  if (!ip) return std::nullopt;
  return LinkAddress{static_cast<int>(info->ifa_index), *ip, info->ifa_prefixlen};
}

Bytes format_address_delete(const LinkAddress& address) {
  ifaddrmsg header{};
  header.ifa_family = address.ip.is_v4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = address.prefix_length;
  header.ifa_index = static_cast<std::uint32_t>(address.ifindex);
  const NlMessage message = start_message(RTM_DELADDR, NlFlags::kOne, std::as_bytes(std::span(&header, 1)));
  nla_put(message.get(), IFA_LOCAL, static_cast<int>(address.ip.bytes().size()), address.ip.bytes().data());
  return finish_message(message);
}

}  // namespace berth::host
