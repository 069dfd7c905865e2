#include "host/vhost_user_driver.h"

#include "host/unix_sockets.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr std::chrono::milliseconds kPollInterval{20};

std::unexpected<Error> still_connected(const Function& function) {
  return fail(Code::kFailedPrecondition, "GUEST_STILL_CONNECTED",
              fmt::format("vf{}: a guest is connected to {}", function.index, function.socket));
}

StepOutcome nothing_behind() {
  return {StepStatus::kNotApplicable, "not applicable: unbacked function"};
}

Task<StepOutcome> not_applicable() {
  co_return StepOutcome{StepStatus::kNotApplicable, "not applicable: port kind vhost-user"};
}

}  // namespace

VmDevice vhost_user_device(const Function& function) {
  return {.id = fmt::format("berth-vf{}", function.index),
          .device = VhostUserDevice{.socket = function.socket, .mac = function.mac},
          .number = static_cast<std::uint8_t>(function.index)};
}

// The MAC is the guest's to set; what keeps it honest is the eSwitch's admit table.
Task<StepOutcome> VhostUserDriver::prepare(PrepareArgs args) {
  if (args.function.is_unbacked) co_return nothing_behind();
  const auto alone = co_await wait_until_alone(args.function);
  if (!alone) co_return pass(alone);
  co_return StepOutcome{StepStatus::kDone, "no guest is connected yet"};
}

Task<StepOutcome> VhostUserDriver::expose(PrepareArgs) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::bind(Function) {
  return not_applicable();
}
Task<StepOutcome> VhostUserDriver::plug(Function function, VmId vm) {
  if (plug_ == nullptr) co_return co_await not_applicable();
  auto device = vhost_user_device(function);
  const auto plugged = co_await plug_->plug(std::move(vm), std::move(device));
  if (!plugged) co_return pass(plugged);
  co_return StepOutcome{StepStatus::kDone, plugged->detail};
}

Task<StepOutcome> VhostUserDriver::unplug(Function function, VmId vm) {
  if (plug_ == nullptr) co_return co_await not_applicable();
  auto device = vhost_user_device(function).id;
  auto unplugged = co_await plug_->unplug(std::move(vm), std::move(device));
  if (!unplugged) co_return pass(unplugged);
  co_return StepOutcome{StepStatus::kDone, *std::move(unplugged)};
}

Task<StepOutcome> VhostUserDriver::unbind(Function) {
  return not_applicable();
}

Task<StepOutcome> VhostUserDriver::reset(Function function) {
  if (function.is_unbacked) co_return nothing_behind();
  const auto alone = co_await wait_until_alone(function);
  if (!alone) co_return pass(alone);
  co_return StepOutcome{StepStatus::kDone, "no guest is connected"};
}

Task<void> VhostUserDriver::wait_until_alone(Function function) {
  const auto give_up = std::chrono::steady_clock::now() + disconnect_wait_;
  while (true) {
    const auto connections = count_connections(function.socket);
    if (!connections) co_return pass(connections);
    if (*connections == 0) co_return Result<void>();
    if (std::chrono::steady_clock::now() >= give_up) co_return still_connected(function);
    const auto slept = co_await sleep_for(kPollInterval);
    if (!slept) co_return slept;
  }
}

// The eSwitch's meter is the whole limit.
Task<StepOutcome> VhostUserDriver::set_rate(PrepareArgs) {
  return not_applicable();
}

// Whose socket has a client, has its port; who does not connect may be a VM that does not run.
Task<std::vector<std::string>> VhostUserDriver::find_drift(PrepareArgs args, VmId vm) {
  std::vector<std::string> lines;
  if (plug_ == nullptr || args.function.is_unbacked) co_return lines;
  const auto connections = count_connections(args.function.socket);
  if (!connections) co_return pass(connections);
  if (*connections != 0) co_return lines;
  const std::string id = vhost_user_device(args.function).id;
  const auto is_lost = co_await plug_->lacks(vm, id);
  if (!is_lost) co_return pass(is_lost);
  if (*is_lost) lines.push_back(fmt::format("{} runs without {}", vm, id));
  co_return lines;
}

Task<void> VhostUserDriver::repair(PrepareArgs args, VmId vm) {
  const auto plugged = co_await plug(std::move(args.function), std::move(vm));
  if (!plugged) co_return pass(plugged);
  co_return Result<void>();
}

}  // namespace berth::host
