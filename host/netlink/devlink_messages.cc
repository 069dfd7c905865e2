#include "host/netlink/devlink_messages.h"

#include "host/netlink/nl_message.h"

#include <algorithm>
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include <netlink/attr.h>

namespace berth::host {
namespace {

NlMessage start(int family, std::uint8_t command, NlFlags flags) {
  genlmsghdr header{};
  header.cmd = command;
  header.version = 1;
  return start_message(family, flags, std::as_bytes(std::span(&header, 1)));
}

NlMessage start_for(const GenericFamily& family, std::uint8_t command, const DevlinkDevice& device) {
  NlMessage message = start(family.id, command, NlFlags::kOne);
  nla_put_string(message.get(), DEVLINK_ATTR_BUS_NAME, device.bus.c_str());
  nla_put_string(message.get(), DEVLINK_ATTR_DEV_NAME, device.name.c_str());
  return message;
}

NlAttributes attributes_of(const Bytes& message) {
  return NlAttributes::of_message(message, sizeof(genlmsghdr));
}

PortFunction parse_function(const NlAttributes& attributes) {
  PortFunction function;
  MacAddress mac;
  if (const auto address = attributes.find(DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR);
      address && address->size() == mac.bytes.size()) {
    std::memcpy(mac.bytes.data(), address->data(), mac.bytes.size());
    function.mac = mac;
  }
  if (const auto state = attributes.u8(DEVLINK_PORT_FN_ATTR_STATE))
    function.is_active = *state == DEVLINK_PORT_FN_STATE_ACTIVE;
  if (const auto state = attributes.u8(DEVLINK_PORT_FN_ATTR_OPSTATE))
    function.is_attached = *state == DEVLINK_PORT_FN_OPSTATE_ATTACHED;
  return function;
}

}  // namespace

Bytes format_family_request(const std::string& name) {
  const NlMessage message = start(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NlFlags::kOne);
  nla_put_string(message.get(), CTRL_ATTR_FAMILY_NAME, name.c_str());
  return finish_message(message);
}

Result<GenericFamily> parse_family(const Bytes& message) {
  const NlAttributes attributes = attributes_of(message);
  const auto id = attributes.u16(CTRL_ATTR_FAMILY_ID);
  if (!id) return fail(Code::kUnavailable, "NETLINK_MALFORMED", "the kernel's answer names no family");
  GenericFamily family{.id = *id};
  // A list whose items' types are their positions.
  const auto groups = attributes.nest(CTRL_ATTR_MCAST_GROUPS);
  constexpr int kMostGroups = 64;
  for (int position = 1; position <= kMostGroups; ++position) {
    const NlAttributes group = groups.nest(position);
    if (group.text(CTRL_ATTR_MCAST_GRP_NAME) == DEVLINK_GENL_MCGRP_CONFIG_NAME)
      family.config_group = group.u32(CTRL_ATTR_MCAST_GRP_ID).value_or(0);
  }
  return family;
}

Bytes format_eswitch_get(const GenericFamily& family, const DevlinkDevice& device) {
  return finish_message(start_for(family, DEVLINK_CMD_ESWITCH_GET, device));
}

Bytes format_eswitch_set(const GenericFamily& family, const DevlinkDevice& device,
                         const EswitchChange& change) {
  const NlMessage message = start_for(family, DEVLINK_CMD_ESWITCH_SET, device);
  if (change.mode) {
    nla_put_u16(
        message.get(), DEVLINK_ATTR_ESWITCH_MODE,
        *change.mode == EswitchMode::kLegacy ? DEVLINK_ESWITCH_MODE_LEGACY : DEVLINK_ESWITCH_MODE_SWITCHDEV);
  }
  if (change.encap) {
    nla_put_u8(message.get(), DEVLINK_ATTR_ESWITCH_ENCAP_MODE,
               *change.encap == EncapMode::kNone ? DEVLINK_ESWITCH_ENCAP_MODE_NONE
                                                 : DEVLINK_ESWITCH_ENCAP_MODE_BASIC);
  }
  return finish_message(message);
}

EswitchState parse_eswitch(const Bytes& message) {
  const NlAttributes attributes = attributes_of(message);
  EswitchState state;
  if (const auto mode = attributes.u16(DEVLINK_ATTR_ESWITCH_MODE)) {
    if (*mode == DEVLINK_ESWITCH_MODE_LEGACY) state.mode = EswitchMode::kLegacy;
    if (*mode == DEVLINK_ESWITCH_MODE_SWITCHDEV) state.mode = EswitchMode::kSwitchdev;
  }
  if (const auto encap = attributes.u8(DEVLINK_ATTR_ESWITCH_ENCAP_MODE))
    state.encap = *encap == DEVLINK_ESWITCH_ENCAP_MODE_NONE ? EncapMode::kNone : EncapMode::kBasic;
  return state;
}

Bytes format_ports_list(const GenericFamily& family) {
  return finish_message(start(family.id, DEVLINK_CMD_PORT_GET, NlFlags::kList));
}

std::optional<DevlinkPort> parse_port(const Bytes& message) {
  const NlAttributes attributes = attributes_of(message);
  const auto bus = attributes.text(DEVLINK_ATTR_BUS_NAME);
  const auto name = attributes.text(DEVLINK_ATTR_DEV_NAME);
  const auto index = attributes.u32(DEVLINK_ATTR_PORT_INDEX);
  if (!bus || !name || !index) return std::nullopt;
  DevlinkPort port;
  port.device = {*bus, *name};
  port.index = *index;
  port.is_function = true;
  port.name.controller = attributes.u32(DEVLINK_ATTR_PORT_CONTROLLER_NUMBER).value_or(0);
  port.name.pf = attributes.u16(DEVLINK_ATTR_PORT_PCI_PF_NUMBER).value_or(0);
  switch (attributes.u16(DEVLINK_ATTR_PORT_FLAVOUR).value_or(DEVLINK_PORT_FLAVOUR_UNUSED)) {
    case DEVLINK_PORT_FLAVOUR_PCI_PF:
      port.name.kind = PortKind::kPf;
      break;
    case DEVLINK_PORT_FLAVOUR_PCI_VF:
      port.name.kind = PortKind::kVf;
      port.name.number = attributes.u16(DEVLINK_ATTR_PORT_PCI_VF_NUMBER).value_or(0);
      break;
    case DEVLINK_PORT_FLAVOUR_PCI_SF:
      port.name.kind = PortKind::kSf;
      port.name.number = attributes.u32(DEVLINK_ATTR_PORT_PCI_SF_NUMBER).value_or(0);
      break;
    default:
      port.is_function = false;
      port.name.pf = attributes.u32(DEVLINK_ATTR_PORT_NUMBER).value_or(0);
  }
  port.ifindex = static_cast<int>(attributes.u32(DEVLINK_ATTR_PORT_NETDEV_IFINDEX).value_or(0));
  port.netdev = attributes.text(DEVLINK_ATTR_PORT_NETDEV_NAME).value_or("");
  port.function = parse_function(attributes.nest(DEVLINK_ATTR_PORT_FUNCTION));
  return port;
}

Bytes format_function_set(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port,
                          const PortFunction& function) {
  const NlMessage message = start_for(family, DEVLINK_CMD_PORT_SET, device);
  nla_put_u32(message.get(), DEVLINK_ATTR_PORT_INDEX, port);
  put_nest(message, DEVLINK_ATTR_PORT_FUNCTION, [&] {
    if (function.mac) {
      nla_put(message.get(), DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, static_cast<int>(function.mac->bytes.size()),
              function.mac->bytes.data());
    }
    if (function.is_active) {
      nla_put_u8(message.get(), DEVLINK_PORT_FN_ATTR_STATE,
                 *function.is_active ? DEVLINK_PORT_FN_STATE_ACTIVE : DEVLINK_PORT_FN_STATE_INACTIVE);
    }
  });
  return finish_message(message);
}

Bytes format_rate_get(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port) {
  const NlMessage message = start_for(family, DEVLINK_CMD_RATE_GET, device);
  nla_put_u32(message.get(), DEVLINK_ATTR_PORT_INDEX, port);
  return finish_message(message);
}

Bytes format_rate_set(const GenericFamily& family, const DevlinkDevice& device, std::uint32_t port,
                      PortRate rate) {
  const NlMessage message = start_for(family, DEVLINK_CMD_RATE_SET, device);
  nla_put_u32(message.get(), DEVLINK_ATTR_PORT_INDEX, port);
  nla_put_u64(message.get(), DEVLINK_ATTR_RATE_TX_SHARE, rate.guaranteed);
  nla_put_u64(message.get(), DEVLINK_ATTR_RATE_TX_MAX, rate.most);
  return finish_message(message);
}

PortRate parse_rate(const Bytes& message) {
  const NlAttributes attributes = attributes_of(message);
  return {.guaranteed = attributes.u64(DEVLINK_ATTR_RATE_TX_SHARE).value_or(0),
          .most = attributes.u64(DEVLINK_ATTR_RATE_TX_MAX).value_or(0)};
}

}  // namespace berth::host
