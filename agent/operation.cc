#include "agent/operation.h"

#include <fmt/format.h>

namespace berth::agent {

std::string fingerprint(const AttachIntent& intent) {
  std::string text =
      fmt::format("attach {} {} {} {} {} {} {}", intent.vm, intent.vpc, fmt::join(intent.ips, ","),
                  intent.mac, intent.mtu_bytes, intent.rates.from_vm, intent.rates.to_vm);
  // Those without devices are as they were before there were any: they are in databases.
  if (!intent.devices.empty()) text += fmt::format(" {}", fmt::join(intent.devices, ","));
  return text;
}

std::string fingerprint(const AttachmentId& detached) {
  return fmt::format("detach {}", detached);
}

}  // namespace berth::agent
