#include "host/hotplug/virtnet_provider.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host {

Task<Exposed> VirtnetProvider::expose(PrepareArgs args) {
  const auto since = events_.now();
  const auto known = co_await look_up(args.function.mac);
  if (!known) co_return pass(known);
  std::optional<VirtnetDevice> device = *known;
  if (!device) {
    const auto answer =
        co_await call({"hotplug", "-i", controller_.rdma_device, "-m", args.function.mac.str(), "-t",
                       std::to_string(args.mtu_bytes), "-n", std::to_string(controller_.queue_count), "-s",
                       std::to_string(controller_.queue_size)});
    if (!answer) co_return pass(answer);
    const auto plugged = parse_virtnet_hotplug(*answer);
    if (!plugged) co_return pass(plugged);
    device = *plugged;
  }
  const PciAddress address = device->address;
  const auto is_there = [this, address] { return tree_.read(address).has_value(); };
  const auto appeared = co_await events_.wait_until(is_there, deadlines_.appear);
  if (!appeared && appeared.error().code != Code::kDeadlineExceeded) co_return pass(appeared);
  if (!appeared) {
    co_return fail(
        Code::kDeadlineExceeded, "FUNCTION_DID_NOT_APPEAR",
        fmt::format("the controller says that {} is plugged; the kernel does not show it", address));
  }
  const bool was_told = events_.has_heard(since, Uevent::Action::kAdd, address);
  co_return Exposed{
      address, fmt::format("{} plugged by the DPU, {}", address, was_told ? "uevent seen" : "no uevent")};
}

// The controller knows what it has plugged, and the kernel what is there: both must agree.
Task<std::optional<PciAddress>> VirtnetProvider::find(Function function) {
  if (function.address && tree_.exists(*function.address)) co_return function.address;
  const auto device = co_await look_up(function.mac);
  if (!device) co_return pass(device);
  if (!*device || !tree_.exists((*device)->address)) co_return std::optional<PciAddress>();
  co_return (*device)->address;
}

Task<std::string> VirtnetProvider::withdraw(Function function) {
  const auto device = co_await look_up(function.mac);
  if (!device) co_return pass(device);
  if (!*device) co_return std::string("the DPU has no such device");
  const PciAddress address = (*device)->address;
  const auto answer = co_await call({"unplug", "-p", (*device)->id});
  if (!answer) co_return pass(answer);
  const auto unplugged = parse_virtnet_unplug(*answer);
  if (!unplugged) co_return pass(unplugged);
  const auto is_gone = [this, address] { return !tree_.exists(address); };
  const auto gone = co_await events_.wait_until(is_gone, deadlines_.appear);
  if (gone) co_return fmt::format("{} unplugged by the DPU", address);
  if (gone.error().code != Code::kDeadlineExceeded) co_return pass(gone);
  co_return fail(Code::kDeadlineExceeded, "FUNCTION_DID_NOT_GO",
                 fmt::format("the controller says that {} is unplugged; the kernel still shows it", address));
}

Task<std::optional<VirtnetDevice>> VirtnetProvider::look_up(MacAddress mac) {
  const auto answer = co_await call({"list"});
  if (!answer) co_return pass(answer);
  const auto devices = parse_virtnet_list(*answer);
  if (!devices) co_return pass(devices);
  for (const VirtnetDevice& device : *devices) {
    if (device.mac == mac) co_return device;
  }
  co_return std::optional<VirtnetDevice>();
}

// An answer explains a failure better than an exit status does.
Task<std::string> VirtnetProvider::call(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), controller_.program);
  auto outcome = co_await run_child(std::move(arguments), deadlines_.controller);
  if (!outcome) co_return pass(outcome);
  if (outcome->exit_status == 0 || !outcome->output.empty()) co_return std::move(outcome->output);
  co_return fail(Code::kUnavailable, "VIRTNET_REFUSED",
                 fmt::format("{} ended with status {}", controller_.program, outcome->exit_status));
}

}  // namespace berth::host
