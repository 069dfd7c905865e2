#include "agent/way_out.h"

#include "agent/device_steps.h"
#include "agent/interface_steps.h"

namespace berth::agent {
namespace {

// `take` makes a Task<StepOutcome> of an interface.
template <typename Take>
Task<StepOutcome> take_all(Task<StepOutcome> take_devices, std::vector<Interface> interfaces, Take take) {
  const auto devices = co_await std::move(take_devices);
  if (!devices) co_return devices;
  const auto functions = co_await for_each_interface(std::move(interfaces), std::move(take));
  if (!functions) co_return functions;
  co_return both(*functions, *devices);
}

}  // namespace

Task<StepOutcome> unplug_all(Services& services, Attachment attachment) {
  return take_all(unplug_devices(services.passthrough, attachment), attachment.interfaces,
                  [&services, vm = attachment.vm](const Interface& one) {
                    return services.driver.unplug(one.function, vm);
                  });
}

Task<StepOutcome> unbind_all(Services& services, Attachment attachment) {
  return take_all(unbind_devices(services.passthrough, attachment), attachment.interfaces,
                  [&services](const Interface& one) { return services.driver.unbind(one.function); });
}

Task<StepOutcome> reset_all(Services& services, Attachment attachment) {
  return take_all(reset_devices(services.passthrough, attachment), attachment.interfaces,
                  [&services](const Interface& one) { return services.driver.reset(one.function); });
}

}  // namespace berth::agent
