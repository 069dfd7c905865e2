#include "agent/operation.h"

#include <fmt/format.h>

namespace berth::agent {

std::string fingerprint(const AttachIntent& intent) {
  return fmt::format("attach {} {} {} {} {} {} {}", intent.vm, intent.vpc, fmt::join(intent.ips, ","),
                     intent.mac, intent.mtu_bytes, intent.rates.from_vm, intent.rates.to_vm);
}

std::string fingerprint(const AttachmentId& detached) {
  return fmt::format("detach {}", detached);
}

}  // namespace berth::agent
