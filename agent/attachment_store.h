// The desired attachments of this host. Only the workflows write it; the reconciler makes it true.
#pragma once

#include "agent/attachment.h"
#include "base/error.h"
#include "dataplane/port.h"

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace berth::agent {

// Who is on a port. LIFETIME: as long as the attachment is in the store.
struct PortOwner {
  const Attachment* attachment = nullptr;
  const Interface* interface = nullptr;
};

class AttachmentStore {
 public:
  // Gives interfaces with policy groups the number of their set (Interface::policy_set): the one that the
  // VPC's interfaces with the same groups have, or the lowest that nobody has. Those that have one keep it.
  void insert(Attachment attachment);
  void erase(const AttachmentId& id);

  // The same for its interfaces' other values (Interface::other), whose sets have no numbers yet.
  void join_other_sets(const AttachmentId& id);
  // The other values go, whichever they are.
  void end_update(const AttachmentId& id);

  // nullptr when there is none. LIFETIME: until the attachment is erased.
  Attachment* find(const AttachmentId& id);
  const Attachment* find(const AttachmentId& id) const;
  // NOT_FOUND (ATTACHMENT_UNKNOWN).
  Result<Attachment> get(const AttachmentId& id) const;
  std::optional<PortOwner> find_port(dataplane::EswitchPort port) const;
  // Interfaces with this policy set, by their other values, too.
  std::vector<PortOwner> list_with_policy_set(std::uint32_t number) const;
  // The number that an interface like this one would share; 0: none yet, or it has no groups.
  std::uint32_t find_policy_set(const InterfaceIntent& intent) const;
  // Whether somebody in the VPC has the address, and how many addresses somebody has and `is_asked_for`;
  // quarantined attachments have theirs.
  bool has_ip(const VpcId& vpc, const IpAddress& ip) const;
  std::size_t count_ips(const VpcId& vpc, const std::function<bool(const IpAddress&)>& is_asked_for) const;
  std::size_t size() const { return attachments_.size(); }

  std::vector<Attachment> list() const;  // by id
  // Those behind `id` (the empty one: all) that `is_asked_for`, at most `limit`.
  std::vector<Attachment> list_after(const AttachmentId& id, std::size_t limit,
                                     const std::function<bool(const Attachment&)>& is_asked_for) const;
  // Interfaces that hold their addresses in `vpc`, by port: all but those of quarantined attachments whose
  // rules are gone.
  std::vector<PortOwner> list_in(const VpcId& vpc) const;
  // Those of list_in() that share an address or the MAC with `intent`, or are the VM's. Costs the same
  // however many there are.
  std::vector<PortOwner> rivals_of(const VmId& vm, const InterfaceIntent& intent) const;

 private:
  // What no two interfaces of a VPC may share, and whose they are. Withdrawn ones may stand beside who came
  // after them.
  struct Claims {
    std::multimap<VmId, PortOwner> vms;
    std::multimap<IpAddress, PortOwner> ips;
    std::multimap<MacAddress, PortOwner> macs;
  };

  // What makes two interfaces share a policy set.
  using Groups = std::pair<VpcId, std::vector<dataplane::PolicyGroupId>>;
  struct SharedSet {
    Groups groups;
    std::vector<PortOwner> owners;
  };
  static Groups groups_of(const InterfaceIntent& intent);
  // Returns the number: `number` if it is one.
  std::uint32_t join_policy_set(const PortOwner& owner, const InterfaceIntent& intent, std::uint32_t number);
  void leave_policy_set(const Interface& interface, std::uint32_t number);

  // LIFETIME: the pointers are into attachments_, whose nodes stay where they are. Ids, addresses and
  // the functions' numbers do not change while they are here.
  std::map<AttachmentId, Attachment> attachments_;
  std::map<dataplane::EswitchPort, PortOwner> by_port_;
  std::map<VpcId, Claims> claims_;
  std::map<std::uint32_t, SharedSet> policy_sets_;
  std::map<Groups, std::uint32_t> policy_set_numbers_;
};

}  // namespace berth::agent
