#include "host/vf_driver.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

// A device that a former lease left in a VM can never be taken for this one's.
std::string device_id(const Function& function) {
  return fmt::format("berth-vf{}-g{}", function.index, function.generation);
}

// A limit of less than one unit is one unit, not none.
std::uint32_t to_mbits(std::uint64_t bits) {
  constexpr std::uint64_t kMega = 1'000'000;
  const std::uint64_t rounded_up = bits / kMega + (bits % kMega != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(rounded_up, std::numeric_limits<std::uint32_t>::max()));
}

VfSettings settings_of(const PrepareArgs& args) {
  return {.mac = args.function.mac,
          .rate = VfRate{.max_mbits = to_mbits(args.max_rate_from_vm)},
          .is_trusted = false};
}

StepOutcome not_applicable(std::string why) {
  return {.status = StepStatus::kNotApplicable, .detail = std::move(why)};
}

}  // namespace

VmDevice vf_device(const Function& function, PciAddress address) {
  return {.id = device_id(function),
          .device = VfioDevice{address},
          .number = static_cast<std::uint8_t>(function.index)};
}

// The NIC shapes what the VM sends to the rate that the eSwitch's meter would else drop it at.
Task<StepOutcome> VfDriver::prepare(PrepareArgs args) {
  if (!attributes_) co_return not_applicable(fmt::format("provider {} sets the MAC", provider_.kind()));
  const auto address = co_await address_of(args.function);
  if (!address) co_return pass(address);
  const auto free = co_await passthrough_.check_free(*address);
  if (!free) co_return pass(free);
  const auto set = co_await ensure_settings(args.function.index, settings_of(args));
  if (!set) co_return pass(set, address->str());
  co_return StepOutcome{.detail = fmt::format("{} has {}", *address, args.function.mac)};
}

Task<StepOutcome> VfDriver::expose(PrepareArgs args) {
  auto exposed = co_await provider_.expose(std::move(args));
  if (!exposed) co_return pass(exposed);
  co_return StepOutcome{.detail = std::move(exposed->detail), .address = exposed->address};
}

Task<StepOutcome> VfDriver::bind(Function function) {
  const auto address = co_await address_of(std::move(function));
  if (!address) co_return pass(address);
  co_return co_await passthrough_.bind(*address);
}

Task<StepOutcome> VfDriver::plug(Function function, VmId vm) {
  const auto address = co_await address_of(function);
  if (!address) co_return pass(address);
  VmDevice device = vf_device(function, *address);
  co_return co_await passthrough_.plug(std::move(device), std::move(vm));
}

Task<StepOutcome> VfDriver::unplug(Function function, VmId vm) {
  return passthrough_.unplug(device_id(function), std::move(vm));
}

Task<StepOutcome> VfDriver::unbind(Function function) {
  const auto found = co_await provider_.find(std::move(function));
  if (!found) co_return pass(found);
  if (!*found) co_return not_applicable("not on this host");
  co_return co_await passthrough_.unbind(**found);
}

// The reset comes last: what is read of the function from then on is the next tenant's.
Task<StepOutcome> VfDriver::reset(Function function) {
  const auto found = co_await provider_.find(function);
  if (!found) co_return pass(found);
  StepOutcome outcome = not_applicable("not on this host");
  if (*found) {
    const auto forgotten = co_await forget_tenant(function.index);
    if (!forgotten) co_return pass(forgotten, (*found)->str());
    auto wiped = co_await passthrough_.reset(**found);
    if (!wiped) co_return wiped;
    outcome = *std::move(wiped);
  }
  const auto withdrawn = co_await provider_.withdraw(std::move(function));
  if (!withdrawn) co_return pass(withdrawn, "withdraw");
  outcome.detail += "; " + *withdrawn;
  co_return outcome;
}

// The MAC stays out of it: a driver in the VM would lose its link over that.
Task<StepOutcome> VfDriver::set_rate(PrepareArgs args) {
  if (!attributes_) co_return not_applicable(fmt::format("provider {} sets no rate", provider_.kind()));
  const auto rate = settings_of(args).rate;
  const auto set = co_await ensure_settings(args.function.index, {.rate = rate});
  if (!set) co_return pass(set, fmt::format("vf{}", args.function.index));
  co_return StepOutcome{.detail =
                            rate->max_mbits == 0 ? "no limit" : fmt::format("{} Mbit/s", rate->max_mbits)};
}

Task<std::vector<std::string>> VfDriver::find_drift(PrepareArgs args, VmId vm) {
  const auto address = co_await provider_.find(args.function);
  if (!address) co_return pass(address);
  if (!*address) co_return std::vector{fmt::format("vf{} is not on this host", args.function.index)};
  auto device = vf_device(args.function, **address);
  auto lines = co_await passthrough_.find_drift(std::move(device), std::move(vm));
  if (!lines) co_return lines;
  const auto has_them = co_await has_settings(args.function.index, settings_of(args));
  if (!has_them) co_return pass(has_them);
  if (!*has_them) lines->push_back(fmt::format("{}: MAC, rate or trust are not its own", **address));
  co_return lines;
}

Task<void> VfDriver::repair(PrepareArgs args, VmId vm) {
  const auto address = co_await address_of(args.function);
  if (!address) co_return pass(address);
  const auto index = args.function.index;
  const auto has_them = co_await has_settings(index, settings_of(args));
  if (!has_them) co_return pass(has_them);
  if (!*has_them) {
    const auto set = co_await ensure_settings(index, settings_of(args));
    if (!set) co_return set;
  }
  auto device = vf_device(args.function, *address);
  co_return co_await passthrough_.repair(std::move(device), std::move(vm));
}

Task<void> VfDriver::ensure_settings(std::uint16_t function, VfSettings wanted) {
  const auto place = attributes_->pool.place_of(function);
  if (!place) co_return pass(place);
  co_return co_await attributes_->attributes.ensure(place->pf, place->vf, wanted);
}

// What the PF does not tell is taken for granted.
Task<bool> VfDriver::has_settings(std::uint16_t function, VfSettings wanted) {
  if (!attributes_) co_return true;
  const auto place = attributes_->pool.place_of(function);
  if (!place) co_return pass(place);
  const auto now = co_await attributes_->attributes.read(place->pf, place->vf);
  if (!now) co_return pass(now);
  co_return (!now->mac || now->mac == wanted.mac) && (!now->rate || now->rate == wanted.rate) &&
      (!now->is_trusted || now->is_trusted == wanted.is_trusted);
}

Task<void> VfDriver::forget_tenant(std::uint16_t function) {
  if (!attributes_) co_return Result<void>();
  const VfSettings nobodys{.mac = MacAddress(), .rate = VfRate(), .is_trusted = false};
  co_return co_await ensure_settings(function, nobodys);
}

Task<PciAddress> VfDriver::address_of(Function function) {
  const auto index = function.index;
  const auto found = co_await provider_.find(std::move(function));
  if (!found) co_return pass(found);
  if (*found) co_return **found;
  co_return fail(Code::kFailedPrecondition, "NOT_EXPOSED", fmt::format("vf{} is not on this host", index));
}

}  // namespace berth::host
