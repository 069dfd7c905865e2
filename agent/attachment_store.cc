#include "agent/attachment_store.h"

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>

namespace berth::agent {

namespace {

template <typename Key>
void erase_entry(std::multimap<Key, const Attachment*>& entries, const Key& key,
                 const Attachment* attachment) {
  const auto [begin, end] = entries.equal_range(key);
  entries.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == attachment; }));
}

}  // namespace

void AttachmentStore::insert(Attachment attachment) {
  const auto id = attachment.id;
  const auto [place, inserted] = attachments_.emplace(id, std::move(attachment));
  assert(inserted);
  (void)inserted;
  const Attachment* added = &place->second;
  by_port_.emplace(port_of(*added), added);
  Claims& claims = claims_[added->intent.vpc];
  claims.vms.emplace(added->intent.vm, added);
  for (const IpAddress& ip : added->intent.ips) claims.ips.emplace(ip, added);
  claims.macs.emplace(added->intent.mac, added);
}

void AttachmentStore::erase(const AttachmentId& id) {
  const Attachment* gone = find(id);
  if (gone == nullptr) return;
  by_port_.erase(port_of(*gone));
  const auto claims = claims_.find(gone->intent.vpc);
  erase_entry(claims->second.vms, gone->intent.vm, gone);
  for (const IpAddress& ip : gone->intent.ips) erase_entry(claims->second.ips, ip, gone);
  erase_entry(claims->second.macs, gone->intent.mac, gone);
  if (claims->second.vms.empty()) claims_.erase(claims);
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
  const auto found = by_port_.find(port);
  return found == by_port_.end() ? nullptr : found->second;
}

std::vector<Attachment> AttachmentStore::list() const {
  std::vector<Attachment> all;
  for (const auto& [id, attachment] : attachments_) all.push_back(attachment);
  return all;
}

std::vector<Attachment> AttachmentStore::list_in(const VpcId& vpc) const {
  std::vector<Attachment> found;
  const auto claims = claims_.find(vpc);
  if (claims == claims_.end()) return found;
  for (const auto& [vm, attachment] : claims->second.vms) {
    if (!attachment->is_withdrawn) found.push_back(*attachment);
  }
  std::ranges::sort(found, {}, &Attachment::id);
  return found;
}

std::vector<Attachment> AttachmentStore::rivals_of(const AttachIntent& intent) const {
  const auto claims = claims_.find(intent.vpc);
  if (claims == claims_.end()) return {};
  std::set<const Attachment*> rivals;
  const auto take = [&](const auto& entries, const auto& key) {
    const auto [begin, end] = entries.equal_range(key);
    for (auto entry = begin; entry != end; ++entry) {
      if (!entry->second->is_withdrawn) rivals.insert(entry->second);
    }
  };
  take(claims->second.vms, intent.vm);
  for (const IpAddress& ip : intent.ips) take(claims->second.ips, ip);
  take(claims->second.macs, intent.mac);
  std::vector<Attachment> found;
  for (const Attachment* rival : rivals) found.push_back(*rival);
  std::ranges::sort(found, {}, &Attachment::id);
  return found;
}

}  // namespace berth::agent
