#include "host/netlink/eswitch_ports.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

std::unexpected<Error> missing(const DevlinkDevice& device, const std::string& what) {
  return fail(Code::kNotFound, "REPRESENTOR_UNKNOWN",
              fmt::format("{} is in switchdev mode, and {} has no network device: its driver makes one for "
                          "each VF, some only for those that came after the mode",
                          device.str(), what));
}

std::unexpected<Error> ambiguous(const DevlinkDevice& device, PortName one, PortName other) {
  return fail(Code::kFailedPrecondition, "REPRESENTOR_AMBIGUOUS",
              fmt::format("{} has {} and {}: which of them is the function cannot be told", device.str(), one,
                          other));
}

bool is_of_uplink(const DevlinkPort& port) {
  return !port.is_function && port.ifindex != 0;
}

// Of this machine's, or, on a DPU, of the host's that it is in (controller 1).
bool is_vf(const DevlinkPort& port, std::uint16_t vf) {
  return port.is_function && port.name.kind == PortKind::kVf && port.name.number == vf;
}

// The port's name says which function it is; what its representor is called says nothing.
Task<FunctionPort> ensure_port(Representors& representors, Link uplink, PortName name) {
  auto link = co_await representors.find(uplink.switch_id, name);
  if (!link) co_return pass(link);
  // Hardened first: from the moment that it is up it takes what the VF sends.
  auto undone = co_await representors.ensure_hardened(link->ifindex);
  if (!undone) co_return pass(undone, link->name);
  const auto up = co_await representors.ensure_up(link->ifindex, uplink.mtu_bytes);
  if (!up) co_return pass(up, link->name);
  co_return FunctionPort{.vf = static_cast<std::uint16_t>(name.number),
                         .representor = *std::move(link),
                         .undone = *std::move(undone)};
}

}  // namespace

Task<EswitchPorts> ensure_ports(Devlink& devlink, Representors& representors, DevlinkDevice device,
                                std::uint16_t count) {
  EswitchPorts found;
  const auto state = co_await devlink.read_eswitch(device);
  const bool has_none =
      !state && (state.error().reason == "DEVLINK_UNKNOWN" || state.error().reason == "DEVLINK_UNSUPPORTED");
  if (has_none) co_return found;
  if (!state) co_return pass(state);
  found.mode = state->mode;
  if (found.mode != EswitchMode::kSwitchdev) co_return found;

  const auto ports = co_await devlink.list_ports(device);
  if (!ports) co_return pass(ports);
  const auto uplink_port = std::ranges::find_if(*ports, is_of_uplink);
  if (uplink_port == ports->end()) co_return missing(device, "its uplink");
  const auto uplink = co_await representors.read(uplink_port->ifindex);
  if (!uplink) co_return pass(uplink);
  for (std::uint16_t vf = 0; vf < count; ++vf) {
    const auto is_this = [vf](const DevlinkPort& one) { return is_vf(one, vf); };
    const auto port = std::ranges::find_if(*ports, is_this);
    if (port == ports->end()) co_return missing(device, fmt::format("VF {}", vf));
    const auto second = std::find_if(port + 1, ports->end(), is_this);
    if (second != ports->end()) co_return ambiguous(device, port->name, second->name);
    auto ensured = co_await ensure_port(representors, *uplink, port->name);
    if (!ensured) co_return pass(ensured, fmt::format("VF {} of {}", vf, device.str()));
    found.functions.push_back(*std::move(ensured));
  }
  co_return found;
}

}  // namespace berth::host
