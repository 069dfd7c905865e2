#include "agent/reboot.h"

#include <algorithm>
#include <utility>

namespace berth::agent {
namespace {

// Of a vhost-user port nothing but its rules is lost: the eSwitch has made its socket again.
bool has_host_part(const Attachment& attachment) {
  const auto is_exposed = [](const Interface& one) { return one.function.address.has_value(); };
  return !attachment.devices.empty() || std::ranges::any_of(attachment.interfaces, is_exposed);
}

}  // namespace

void begin_boot(SavedState& saved, std::string boot) {
  if (boot.empty() || boot == saved.boot) return;
  saved.new_boot = std::move(boot);
  if (!saved.is_rebooted()) return;
  for (SavedAttachment& one : saved.attachments) {
    Attachment& attachment = one.attachment;
    if (attachment.state == AttachmentState::kAttached && has_host_part(attachment)) {
      attachment.state = AttachmentState::kRestoring;
      attachment.gate = Gate::kClosed;
    }
    for (Interface& interface : attachment.interfaces) interface.function.address.reset();
  }
}

std::set<std::uint16_t> leased_functions(const SavedState& saved) {
  std::set<std::uint16_t> leased;
  if (saved.is_rebooted()) return leased;
  for (const SavedAttachment& one : saved.attachments) {
    for (const Interface& interface : one.attachment.interfaces) leased.insert(interface.function.index);
  }
  return leased;
}

}  // namespace berth::agent
