#include "host/netlink/devlink.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

Error refused(const NlAnswer& answer, const std::string& what) {
  Error error{.code = Code::kFailedPrecondition, .message = fmt::format("{}: {}", what, answer.refusal())};
  switch (answer.error_number) {
    case ENODEV:
    case ENOENT:
      error.code = Code::kNotFound;
      error.reason = "DEVLINK_UNKNOWN";
      break;
    case EOPNOTSUPP:
      error.reason = "DEVLINK_UNSUPPORTED";
      break;
    case EBUSY:
      error.reason = "ESWITCH_BUSY";
      break;
    default:
      error.reason = "DEVLINK_REFUSED";
  }
  if (const char* name = strerrorname_np(answer.error_number)) error.metadata["errno"] = name;
  return error;
}

bool has(const EswitchState& state, const EswitchChange& wanted) {
  return (!wanted.mode || state.mode == wanted.mode) && (!wanted.encap || state.encap == wanted.encap);
}

bool has(const PortFunction& function, const PortFunction& wanted) {
  return (!wanted.mac || function.mac == wanted.mac) &&
         (!wanted.is_active || function.is_active == wanted.is_active);
}

}  // namespace

Task<NlAnswer> Devlink::ask(Bytes request, std::string what, std::chrono::milliseconds deadline) {
  auto answer = co_await channel_.call(NlProtocol::kGeneric, std::move(request), what, deadline);
  if (!answer) co_return pass(answer);
  if (answer->is_refused()) co_return std::unexpected(refused(*answer, what));
  co_return std::move(*answer);
}

Task<GenericFamily> Devlink::family() {
  if (family_) co_return *family_;
  auto answer = co_await channel_.call(NlProtocol::kGeneric, format_family_request("devlink"),
                                       "look for devlink", kDeadline);
  if (!answer) co_return pass(answer);
  if (answer->is_refused() || answer->messages.empty()) {
    co_return fail(Code::kFailedPrecondition, "DEVLINK_UNSUPPORTED",
                   fmt::format("this kernel has no devlink: {}", answer->refusal()));
  }
  auto family = parse_family(answer->messages.front());
  if (family) family_ = *family;
  co_return family;
}

Task<EswitchState> Devlink::read_eswitch(DevlinkDevice device) {
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  auto answer = co_await ask(format_eswitch_get(*family, device),
                             fmt::format("read the eSwitch mode of {}", device.str()));
  if (!answer) co_return pass(answer);
  co_return answer->messages.empty() ? EswitchState{} : parse_eswitch(answer->messages.front());
}

Task<void> Devlink::ensure_eswitch(DevlinkDevice device, EswitchChange wanted) {
  auto state = co_await read_eswitch(device);
  if (!state) co_return pass(state);
  if (has(*state, wanted)) co_return Result<void>();
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  // Only what differs: encap cannot be set while there are flows, even to what it is.
  if (state->mode == wanted.mode) wanted.mode.reset();
  if (state->encap == wanted.encap) wanted.encap.reset();
  const auto answer = co_await ask(format_eswitch_set(*family, device, wanted),
                                   fmt::format("set the eSwitch mode of {}", device.str()), kModeDeadline);
  if (!answer) co_return pass(answer);
  state = co_await read_eswitch(device);
  if (!state) co_return pass(state);
  if (has(*state, wanted)) co_return Result<void>();
  co_return fail(Code::kUnavailable, "ESWITCH_NOT_AS_ASKED",
                 fmt::format("{} took the new eSwitch mode, and has another", device.str()));
}

Task<std::vector<DevlinkPort>> Devlink::list_ports(DevlinkDevice device) {
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  const auto answer = co_await ask(format_ports_list(*family), "list devlink ports");
  if (!answer) co_return pass(answer);
  std::vector<DevlinkPort> ports;
  for (const Bytes& message : answer->messages) {
    auto port = parse_port(message);
    if (port && port->device == device) ports.push_back(*std::move(port));
  }
  co_return ports;
}

Task<DevlinkPort> Devlink::find_port(DevlinkDevice device, PortName name) {
  const auto ports = co_await list_ports(device);
  if (!ports) co_return pass(ports);
  for (const DevlinkPort& port : *ports) {
    if (port.is_function && port.name == name) co_return port;
  }
  co_return fail(Code::kNotFound, "DEVLINK_UNKNOWN", fmt::format("{} has no port {}", device.str(), name));
}

Task<void> Devlink::ensure_function(DevlinkDevice device, PortName name, PortFunction wanted) {
  auto port = co_await find_port(device, name);
  if (!port) co_return pass(port);
  if (has(port->function, wanted)) co_return Result<void>();
  // Only what differs: a driver may refuse a MAC while the function is active, even the one that it has.
  if (port->function.mac == wanted.mac) wanted.mac.reset();
  if (port->function.is_active == wanted.is_active) wanted.is_active.reset();
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  const auto answer = co_await ask(format_function_set(*family, device, port->index, wanted),
                                   fmt::format("set the function of {} {}", device.str(), name));
  if (!answer) co_return pass(answer);
  port = co_await find_port(device, name);
  if (!port) co_return pass(port);
  if (has(port->function, wanted)) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "PORT_FUNCTION_NOT_AS_ASKED",
                 fmt::format("the function of {} {} was set, and reads back different", device.str(), name));
}

Task<PortRate> Devlink::read_rate(DevlinkDevice device, PortName name) {
  const auto port = co_await find_port(device, name);
  if (!port) co_return pass(port);
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  const auto answer = co_await ask(format_rate_get(*family, device, port->index),
                                   fmt::format("read the rate of {} {}", device.str(), name));
  if (!answer) co_return pass(answer);
  co_return answer->messages.empty() ? PortRate{} : parse_rate(answer->messages.front());
}

Task<void> Devlink::ensure_rate(DevlinkDevice device, PortName name, PortRate wanted) {
  auto rate = co_await read_rate(device, name);
  if (!rate) co_return pass(rate);
  if (*rate == wanted) co_return Result<void>();
  const auto port = co_await find_port(device, name);
  if (!port) co_return pass(port);
  const auto family = co_await this->family();
  if (!family) co_return pass(family);
  const auto answer = co_await ask(format_rate_set(*family, device, port->index, wanted),
                                   fmt::format("set the rate of {} {}", device.str(), name));
  if (!answer) co_return pass(answer);
  rate = co_await read_rate(device, name);
  if (!rate) co_return pass(rate);
  if (*rate == wanted) co_return Result<void>();
  co_return fail(Code::kFailedPrecondition, "PORT_RATE_NOT_AS_ASKED",
                 fmt::format("the rate of {} {} was set, and reads back different", device.str(), name));
}

}  // namespace berth::host
