// A kernel with one NIC in switchdev mode, as devlink and rtnetlink show it: an uplink, VFs and their
// representors, under names that udev gave them. What it is asked for it does. Used in place of
// host::exchange.
#pragma once

#include "host/netlink/devlink_messages.h"
#include "host/netlink/link_messages.h"
#include "host/netlink/nl_address.h"
#include "host/netlink/nl_message.h"

#include <algorithm>
#include <cerrno>
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string>
#include <vector>

#include <netlink/attr.h>

namespace berth::host {

struct FakeSwitchdev {
  static constexpr std::uint16_t kFamily = 30;
  struct Netdev {
    int ifindex = 0;
    std::string name;
    std::string port;            // phys_port_name
    std::uint8_t nic = 1;        // phys_switch_id
    std::optional<int> vf = {};  // not set: the uplink
    std::uint32_t controller = 0;
    std::uint32_t mtu = 1500;
    bool is_up = false;
    int master = 0;
    std::vector<std::uint32_t> ips = {};  // IPv4, in host byte order
  };
  std::vector<Netdev> netdevs;
  std::uint16_t mode = DEVLINK_ESWITCH_MODE_SWITCHDEV;
  int eswitch_error = 0;  // errno of the mode's reading

  Netdev& at(int ifindex) { return *std::ranges::find(netdevs, ifindex, &Netdev::ifindex); }

  NlAnswer answer(NlProtocol protocol, const Bytes& request) {
    const auto header = structure_in<nlmsghdr>(request).value();
    if (protocol == NlProtocol::kGeneric) return generic(header, request);
    NlAnswer answer;
    if (header.nlmsg_type == RTM_GETLINK) {
      const int wanted = structure_in<ifinfomsg>(std::span(request).subspan(NLMSG_HDRLEN))->ifi_index;
      for (const Netdev& one : netdevs)
        if (wanted == 0 || wanted == one.ifindex) answer.messages.push_back(link(one));
      if (answer.messages.empty()) answer.error_number = ENODEV;
    } else if (header.nlmsg_type == RTM_SETLINK) {
      set_link(request);
    } else if (header.nlmsg_type == RTM_GETADDR) {
      for (const Netdev& one : netdevs)
        for (const std::uint32_t ip : one.ips) answer.messages.push_back(address(one.ifindex, ip));
    } else if (header.nlmsg_type == RTM_DELADDR) {
      at(static_cast<int>(structure_in<ifaddrmsg>(std::span(request).subspan(NLMSG_HDRLEN))->ifa_index))
          .ips.clear();
    }
    return answer;
  }

 private:
  NlAnswer generic(const nlmsghdr& header, const Bytes& request) {
    NlAnswer answer;
    if (header.nlmsg_type == GENL_ID_CTRL) {
      const NlMessage message = start(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);
      nla_put_u16(message.get(), CTRL_ATTR_FAMILY_ID, kFamily);
      answer.messages.push_back(finish_message(message));
      return answer;
    }
    const auto command = structure_in<genlmsghdr>(std::span(request).subspan(NLMSG_HDRLEN))->cmd;
    if (command == DEVLINK_CMD_ESWITCH_GET) {
      answer.error_number = eswitch_error;
      const NlMessage message = start(kFamily, DEVLINK_CMD_ESWITCH_GET);
      nla_put_u16(message.get(), DEVLINK_ATTR_ESWITCH_MODE, mode);
      if (eswitch_error == 0) answer.messages.push_back(finish_message(message));
    } else if (command == DEVLINK_CMD_PORT_GET) {
      for (const Netdev& one : netdevs) answer.messages.push_back(port(one));
    }
    return answer;
  }

  static NlMessage start(int type, std::uint8_t command) {
    genlmsghdr header{};
    header.cmd = command;
    return start_message(type, NlFlags::kOne, std::as_bytes(std::span(&header, 1)));
  }

  Bytes port(const Netdev& one) const {
    const NlMessage message = start(kFamily, DEVLINK_CMD_PORT_NEW);
    nla_put_string(message.get(), DEVLINK_ATTR_BUS_NAME, "pci");
    nla_put_string(message.get(), DEVLINK_ATTR_DEV_NAME, one.nic == 1 ? "0000:3b:00.0" : "0000:5e:00.0");
    nla_put_u32(message.get(), DEVLINK_ATTR_PORT_INDEX, static_cast<std::uint32_t>(one.ifindex));
    nla_put_u32(message.get(), DEVLINK_ATTR_PORT_NETDEV_IFINDEX, static_cast<std::uint32_t>(one.ifindex));
    nla_put_string(message.get(), DEVLINK_ATTR_PORT_NETDEV_NAME, one.name.c_str());
    nla_put_u16(message.get(), DEVLINK_ATTR_PORT_FLAVOUR,
                one.vf ? DEVLINK_PORT_FLAVOUR_PCI_VF : DEVLINK_PORT_FLAVOUR_PHYSICAL);
    if (one.vf) {
      if (one.controller != 0)
        nla_put_u32(message.get(), DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, one.controller);
      nla_put_u16(message.get(), DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0);
      nla_put_u16(message.get(), DEVLINK_ATTR_PORT_PCI_VF_NUMBER, static_cast<std::uint16_t>(*one.vf));
    }
    return finish_message(message);
  }

  static Bytes link(const Netdev& one) {
    ifinfomsg header{};
    header.ifi_index = one.ifindex;
    header.ifi_flags = one.is_up ? IFF_UP : 0;
    const NlMessage message = start_message(RTM_NEWLINK, NlFlags::kOne, std::as_bytes(std::span(&header, 1)));
    nla_put_string(message.get(), IFLA_IFNAME, one.name.c_str());
    nla_put_string(message.get(), IFLA_PHYS_PORT_NAME, one.port.c_str());
    nla_put_u8(message.get(), IFLA_PHYS_SWITCH_ID, one.nic);
    nla_put_u32(message.get(), IFLA_MTU, one.mtu);
    if (one.master != 0) nla_put_u32(message.get(), IFLA_MASTER, static_cast<std::uint32_t>(one.master));
    return finish_message(message);
  }

  static Bytes address(int ifindex, std::uint32_t ip) {
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    header.ifa_prefixlen = 24;
    header.ifa_index = static_cast<std::uint32_t>(ifindex);
    const NlMessage message = start_message(RTM_NEWADDR, NlFlags::kOne, std::as_bytes(std::span(&header, 1)));
    nla_put_u32(message.get(), IFA_LOCAL, __builtin_bswap32(ip));
    nla_put_u32(message.get(), IFA_ADDRESS, __builtin_bswap32(ip));
    return finish_message(message);
  }

  void set_link(const Bytes& request) {
    const auto wanted = structure_in<ifinfomsg>(std::span(request).subspan(NLMSG_HDRLEN)).value();
    Netdev& one = at(wanted.ifi_index);
    if ((wanted.ifi_change & IFF_UP) != 0) one.is_up = (wanted.ifi_flags & IFF_UP) != 0;
    const auto attributes = NlAttributes::of_message(request, sizeof(ifinfomsg));
    if (const auto mtu = attributes.u32(IFLA_MTU)) one.mtu = *mtu;
    if (attributes.u32(IFLA_MASTER) == 0U) one.master = 0;
  }
};

}  // namespace berth::host
