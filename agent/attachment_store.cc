#include "agent/attachment_store.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace berth::agent {

void AttachmentStore::insert(Attachment attachment) {
  const auto id = attachment.id;
  [[maybe_unused]] const bool inserted = attachments_.emplace(id, std::move(attachment)).second;
  assert(inserted);
}

void AttachmentStore::erase(const AttachmentId& id) {
  attachments_.erase(id);
}

Attachment* AttachmentStore::find(const AttachmentId& id) {
  const auto found = attachments_.find(id);
  return found == attachments_.end() ? nullptr : &found->second;
}

const Attachment* AttachmentStore::find(const AttachmentId& id) const {
  const auto found = attachments_.find(id);
  return found == attachments_.end() ? nullptr : &found->second;
}

Result<Attachment> AttachmentStore::get(const AttachmentId& id) const {
  const Attachment* found = find(id);
  if (found == nullptr)
    return fail(Code::kNotFound, "ATTACHMENT_UNKNOWN", fmt::format("attachment {} is not known", id));
  return *found;
}

const Attachment* AttachmentStore::find_port(dataplane::EswitchPort port) const {
  const auto found =
      std::ranges::find_if(attachments_, [&](const auto& entry) { return port_of(entry.second) == port; });
  return found == attachments_.end() ? nullptr : &found->second;
}

std::vector<Attachment> AttachmentStore::list() const {
  std::vector<Attachment> all;
  for (const auto& [id, attachment] : attachments_) all.push_back(attachment);
  return all;
}

std::vector<Attachment> AttachmentStore::list_in(const VpcId& vpc) const {
  std::vector<Attachment> found;
  for (const auto& [id, attachment] : attachments_) {
    if (attachment.intent.vpc == vpc && !attachment.is_withdrawn) found.push_back(attachment);
  }
  return found;
}

}  // namespace berth::agent
