#include "agent/start_arguments.h"

#include "agent/device_steps.h"
#include "host/start_arguments.h"
#include "host/vf_driver.h"
#include "host/vhost_user_driver.h"

namespace berth::agent {

host::StartArguments start_arguments(const Interface& interface) {
  const host::Function& function = interface.function;
  if (!function.socket.empty()) return host::start_arguments(host::vhost_user_device(function));
  if (!function.address) return {};
  return host::start_arguments(host::vf_device(function, *function.address));
}

host::StartArguments device_start_arguments(const Attachment& attachment, std::size_t index) {
  return host::start_arguments(vm_device(attachment, index));
}

}  // namespace berth::agent
