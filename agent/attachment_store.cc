#include "agent/attachment_store.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace berth::agent {

namespace {

dataplane::EswitchPort port_of_owner(const PortOwner& owner) {
  return port_of(*owner.interface);
}

template <typename Key>
void erase_entry(std::multimap<Key, PortOwner>& entries, const Key& key, const Interface& interface) {
  const auto [begin, end] = entries.equal_range(key);
  entries.erase(
      std::find_if(begin, end, [&](const auto& entry) { return entry.second.interface == &interface; }));
}

}  // namespace

void AttachmentStore::insert(Attachment attachment) {
  const auto id = attachment.id;
  const auto [place, inserted] = attachments_.emplace(id, std::move(attachment));
  assert(inserted);
  (void)inserted;
  Attachment& added = place->second;
  for (Interface& interface : added.interfaces) {
    const PortOwner owner{&added, &interface};
    interface.policy_set = join_policy_set(owner, interface.intent, interface.policy_set);
    by_port_.emplace(port_of(interface), owner);
    Claims& claims = claims_[interface.intent.vpc];
    claims.vms.emplace(added.vm, owner);
    for (const IpAddress& ip : interface.intent.ips) claims.ips.emplace(ip, owner);
    claims.macs.emplace(interface.intent.mac, owner);
  }
}

void AttachmentStore::erase(const AttachmentId& id) {
  const Attachment* gone = find(id);
  if (gone == nullptr) return;
  for (const Interface& interface : gone->interfaces) {
    by_port_.erase(port_of(interface));
    leave_policy_set(interface, interface.policy_set);
    if (interface.other) leave_policy_set(interface, interface.other->policy_set);
    const auto claims = claims_.find(interface.intent.vpc);
    erase_entry(claims->second.vms, gone->vm, interface);
    for (const IpAddress& ip : interface.intent.ips) erase_entry(claims->second.ips, ip, interface);
    erase_entry(claims->second.macs, interface.intent.mac, interface);
    if (claims->second.vms.empty()) claims_.erase(claims);
  }
  attachments_.erase(id);
}

AttachmentStore::Groups AttachmentStore::groups_of(const InterfaceIntent& intent) {
  std::vector<dataplane::PolicyGroupId> groups = intent.policy_groups;
  std::ranges::sort(groups);
  return {intent.vpc, std::move(groups)};
}

void AttachmentStore::join_other_sets(const AttachmentId& id) {
  Attachment& attachment = *find(id);
  for (Interface& one : attachment.interfaces) {
    if (!one.other) continue;
    const InterfaceIntent intent = with_values(one.intent, *one.other);
    one.other->policy_set = find_policy_set(intent);
    if (one.other->policy_set == one.policy_set && one.policy_set != 0) continue;  // it is in it
    one.other->policy_set = join_policy_set({&attachment, &one}, intent, one.other->policy_set);
  }
}

void AttachmentStore::end_update(const AttachmentId& id) {
  Attachment& attachment = *find(id);
  attachment.update.reset();
  for (Interface& one : attachment.interfaces) {
    if (one.other && one.other->policy_set != one.policy_set) leave_policy_set(one, one.other->policy_set);
    one.other.reset();
  }
}

std::uint32_t AttachmentStore::join_policy_set(const PortOwner& owner, const InterfaceIntent& intent,
                                               std::uint32_t number) {
  if (intent.policy_groups.empty()) return 0;
  if (number == 0) number = find_policy_set(intent);
  if (number == 0) {
    number = 1;
    for (auto next = policy_sets_.begin(); next != policy_sets_.end() && next->first == number; ++next)
      ++number;
  }
  SharedSet& set = policy_sets_[number];
  set.groups = groups_of(intent);
  set.owners.push_back(owner);
  policy_set_numbers_.emplace(set.groups, number);
  return number;
}

void AttachmentStore::leave_policy_set(const Interface& interface, std::uint32_t number) {
  const auto set = policy_sets_.find(number);
  if (set == policy_sets_.end()) return;
  std::erase_if(set->second.owners, [&](const PortOwner& owner) { return owner.interface == &interface; });
  if (!set->second.owners.empty()) return;
  policy_set_numbers_.erase(set->second.groups);
  policy_sets_.erase(set);
}

std::vector<PortOwner> AttachmentStore::list_with_policy_set(std::uint32_t number) const {
  const auto set = policy_sets_.find(number);
  return set == policy_sets_.end() ? std::vector<PortOwner>() : set->second.owners;
}

std::uint32_t AttachmentStore::find_policy_set(const InterfaceIntent& intent) const {
  const auto number = policy_set_numbers_.find(groups_of(intent));
  return number == policy_set_numbers_.end() ? 0 : number->second;
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

std::optional<PortOwner> AttachmentStore::find_port(dataplane::EswitchPort port) const {
  const auto found = by_port_.find(port);
  if (found == by_port_.end()) return std::nullopt;
  return found->second;
}

std::vector<Attachment> AttachmentStore::list() const {
  std::vector<Attachment> all;
  all.reserve(attachments_.size());
  for (const auto& [id, attachment] : attachments_) all.push_back(attachment);
  return all;
}

std::vector<Attachment> AttachmentStore::list_after(
    const AttachmentId& id, std::size_t limit,
    const std::function<bool(const Attachment&)>& is_asked_for) const {
  std::vector<Attachment> found;
  for (auto next = attachments_.upper_bound(id); next != attachments_.end() && found.size() < limit; ++next) {
    if (is_asked_for(next->second)) found.push_back(next->second);
  }
  return found;
}

std::vector<PortOwner> AttachmentStore::list_in(const VpcId& vpc) const {
  std::vector<PortOwner> found;
  const auto claims = claims_.find(vpc);
  if (claims == claims_.end()) return found;
  for (const auto& [vm, owner] : claims->second.vms) {
    if (!owner.attachment->is_withdrawn) found.push_back(owner);
  }
  std::ranges::sort(found, {}, port_of_owner);
  return found;
}

bool AttachmentStore::has_ip(const VpcId& vpc, const IpAddress& ip) const {
  const auto claims = claims_.find(vpc);
  return claims != claims_.end() && claims->second.ips.contains(ip);
}

std::size_t AttachmentStore::count_ips(const VpcId& vpc,
                                       const std::function<bool(const IpAddress&)>& is_asked_for) const {
  const auto claims = claims_.find(vpc);
  if (claims == claims_.end()) return 0;
  const auto& ips = claims->second.ips;
  std::size_t count = 0;
  for (auto next = ips.begin(); next != ips.end(); next = ips.upper_bound(next->first))
    count += is_asked_for(next->first) ? 1 : 0;
  return count;
}

std::vector<PortOwner> AttachmentStore::rivals_of(const VmId& vm, const InterfaceIntent& intent) const {
  const auto claims = claims_.find(intent.vpc);
  if (claims == claims_.end()) return {};
  std::map<dataplane::EswitchPort, PortOwner> rivals;
  const auto take = [&](const auto& entries, const auto& key) {
    const auto [begin, end] = entries.equal_range(key);
    for (auto entry = begin; entry != end; ++entry) {
      if (!entry->second.attachment->is_withdrawn)
        rivals.emplace(port_of_owner(entry->second), entry->second);
    }
  };
  take(claims->second.vms, vm);
  for (const IpAddress& ip : intent.ips) take(claims->second.ips, ip);
  take(claims->second.macs, intent.mac);
  std::vector<PortOwner> found;
  for (const auto& [port, rival] : rivals) found.push_back(rival);
  return found;
}

}  // namespace berth::agent
