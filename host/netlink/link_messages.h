// rtnetlink's requests and answers about links: pure, structs to bytes and back.
// Source: include/uapi/linux/if_link.h, rtnetlink(7).
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"
#include "host/netlink/exchange.h"
#include "host/netlink/port_name.h"
#include "host/vf_attributes.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::host {

struct Link {
  int ifindex = 0;
  std::string name;
  std::string switch_id;         // phys_switch_id, hexadecimal; empty: no port of a switch
  std::optional<PortName> port;  // phys_port_name
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;
  bool is_up = false;  // administratively
  int master = 0;      // ifindex of the bridge, bond or VRF it belongs to; 0: none
};

// GUIDs of an InfiniBand VF. 0 and all ones: not set.
struct VfGuids {
  std::uint64_t node = 0;
  std::uint64_t port = 0;
  bool operator==(const VfGuids&) const = default;
};

struct VfInfo {
  VfSettings settings;
  std::optional<VfGuids> guids;
};

struct LinkAddress {
  int ifindex = 0;
  IpAddress ip;
  std::uint8_t prefix_length = 0;
};

Bytes format_link_get(int ifindex);
Bytes format_links_list();
// Nothing for a message that is not a link.
std::optional<Link> parse_link(const Bytes& message);

struct LinkChange {
  std::optional<bool> is_up = {};
  std::optional<std::uint32_t> mtu_bytes = {};
  bool leaves_master = false;
};
Bytes format_link_set(int ifindex, const LinkChange& change);

// The PF's link with all its VFs, by number.
Bytes format_vfs_get(int ifindex);
std::map<std::uint32_t, VfInfo> parse_vfs(const Bytes& message);

// One attribute each, so that a refusal names one.
Bytes format_vf_mac_set(int ifindex, std::uint32_t vf, const MacAddress& mac);
Bytes format_vf_rate_set(int ifindex, std::uint32_t vf, const VfRate& rate);
Bytes format_vf_trust_set(int ifindex, std::uint32_t vf, bool is_trusted);
Bytes format_vf_spoof_check_set(int ifindex, std::uint32_t vf, bool is_checked);
Bytes format_vf_guids_set(int ifindex, std::uint32_t vf, const VfGuids& guids);

Bytes format_addresses_list();
std::optional<LinkAddress> parse_address(const Bytes& message);
Bytes format_address_delete(const LinkAddress& address);

}  // namespace berth::host
