#include "agent/operation.h"

#include <fmt/format.h>

namespace berth::agent {

std::string fingerprint(const AttachIntent& intent) {
  return fmt::format("attach {} {} {} {} {}", intent.vm, intent.vpc, intent.ip, intent.mac, intent.mtu_bytes);
}

std::string fingerprint(const AttachmentId& detached) {
  return fmt::format("detach {}", detached);
}

}  // namespace berth::agent
