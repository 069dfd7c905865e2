#include "agent/start_arguments.h"

#include "host/start_arguments.h"
#include "host/vhost_user_driver.h"

namespace berth::agent {

host::StartArguments start_arguments(const Attachment& attachment) {
  if (attachment.function.socket.empty()) return {};
  return host::start_arguments(host::vhost_user_device(attachment.function, attachment.intent.mac));
}

}  // namespace berth::agent
