#include "agent/operation.h"

#include <fmt/format.h>

namespace berth::agent {

std::string fingerprint(const AttachIntent& intent) {
  std::string text = fmt::format("attach {}", intent.vm);
  for (const InterfaceIntent& one : intent.interfaces) {
    text +=
        fmt::format(" interface {} {} {} {} {} {} {}", one.vpc, fmt::join(one.ips, ","), one.mac,
                    one.mtu_bytes, one.rates.from_vm, one.rates.to_vm, static_cast<int>(one.network_class));
    // Nothing where there are none: requests of before there were any are known by their text.
    if (!one.policy_groups.empty()) text += fmt::format(" groups {}", fmt::join(one.policy_groups, ","));
    if (!one.allocate.empty()) text += fmt::format(" allocate {}", fmt::join(one.allocate, ","));
    if (one.near) text += fmt::format(" near {}", *one.near);
  }
  return text + fmt::format(" devices {}", fmt::join(intent.devices, ","));
}

std::string fingerprint(const AttachmentId& detached) {
  return fmt::format("detach {}", detached);
}

std::string fingerprint(const UpdateIntent& intent) {
  std::string text = fmt::format("update {}", intent.attachment);
  for (const InterfaceChange& one : intent.interfaces) {
    text += fmt::format(" interface {} {}", one.vpc, one.mac);
    if (one.rate_from_vm) text += fmt::format(" from-vm {}", *one.rate_from_vm);
    if (one.rate_to_vm) text += fmt::format(" to-vm {}", *one.rate_to_vm);
    if (one.policy_groups) text += fmt::format(" groups {}", fmt::join(*one.policy_groups, ","));
  }
  return text;
}

}  // namespace berth::agent
