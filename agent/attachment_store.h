// The desired attachments of this host. Only the workflows write it; the reconciler makes it true.
#pragma once

#include "agent/attachment.h"
#include "base/error.h"
#include "dataplane/port.h"

#include <map>
#include <optional>
#include <vector>

namespace berth::agent {

class AttachmentStore {
 public:
  void insert(Attachment attachment);
  void erase(const AttachmentId& id);

  // nullptr when there is none. LIFETIME: until the attachment is erased.
  Attachment* find(const AttachmentId& id);
  const Attachment* find(const AttachmentId& id) const;
  // NOT_FOUND (ATTACHMENT_UNKNOWN).
  Result<Attachment> get(const AttachmentId& id) const;
  const Attachment* find_port(dataplane::EswitchPort port) const;

  std::vector<Attachment> list() const;  // by id
  // Those that hold their addresses in `vpc`: all but the quarantined whose rules are gone.
  std::vector<Attachment> list_in(const VpcId& vpc) const;
  // Those of list_in() that share the VM, an address or the MAC with `intent`. Costs the same however many
  // there are.
  std::vector<Attachment> rivals_of(const AttachIntent& intent) const;

 private:
  // What no two attachments of a VPC may share. Withdrawn ones may stand beside who came after them.
  struct Claims {
    std::multimap<VmId, const Attachment*> vms;
    std::multimap<IpAddress, const Attachment*> ips;
    std::multimap<MacAddress, const Attachment*> macs;
  };

  // LIFETIME: the pointers are to attachments_, whose nodes stay where they are. Ids, intents and functions
  // do not change while they are here.
  std::map<AttachmentId, Attachment> attachments_;
  std::map<dataplane::EswitchPort, const Attachment*> by_port_;
  std::map<VpcId, Claims> claims_;
};

inline dataplane::EswitchPort port_of(const Attachment& attachment) {
  return dataplane::EswitchPort::function(attachment.function.index);
}

}  // namespace berth::agent
