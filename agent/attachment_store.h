// The desired attachments of this host. Only the workflows write it; the reconciler makes it true.
#pragma once

#include "agent/attachment.h"
#include "base/error.h"
#include "dataplane/port.h"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace berth::agent {

// Who is on a port. LIFETIME: as long as the attachment is in the store.
struct PortOwner {
  const Attachment* attachment = nullptr;
  const Interface* interface = nullptr;
};

class AttachmentStore {
 public:
  void insert(Attachment attachment);
  void erase(const AttachmentId& id);

  // nullptr when there is none. LIFETIME: until the attachment is erased.
  Attachment* find(const AttachmentId& id);
  const Attachment* find(const AttachmentId& id) const;
  // NOT_FOUND (ATTACHMENT_UNKNOWN).
  Result<Attachment> get(const AttachmentId& id) const;
  std::optional<PortOwner> find_port(dataplane::EswitchPort port) const;
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

  // LIFETIME: the pointers are into attachments_, whose nodes stay where they are. Ids, intents and the
  // functions' numbers do not change while they are here.
  std::map<AttachmentId, Attachment> attachments_;
  std::map<dataplane::EswitchPort, PortOwner> by_port_;
  std::map<VpcId, Claims> claims_;
};

}  // namespace berth::agent
