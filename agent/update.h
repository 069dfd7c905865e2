// An update: what may be another value of an interface while its VM is attached, and what an intent makes of
// an attachment. Pure; the doing is in update_workflow.h.
#pragma once

#include "agent/attachment.h"
#include "base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::agent {

// Of one interface, which `vpc` and `mac` name: no two of a VPC have the same. What is not set stays as it
// is.
struct InterfaceChange {
  VpcId vpc;
  MacAddress mac;
  std::optional<std::uint64_t> rate_from_vm = {};
  std::optional<std::uint64_t> rate_to_vm = {};
  std::optional<std::vector<dataplane::PolicyGroupId>> policy_groups = {};
  auto operator<=>(const InterfaceChange&) const = default;
};

// What the VMaaS asked for, well-formed.
struct UpdateIntent {
  RequestId request;
  AttachmentId attachment;
  std::string etag = {};  // records.h; empty: however it is
  std::vector<InterfaceChange> interfaces = {};
  std::string traceparent = {};
};

// What the attachment's interfaces would be: Interface::other of each that is named. NOT_FOUND
// (INTERFACE_UNKNOWN), INVALID_ARGUMENT (NO_INTERFACE, INTERFACE_TWICE, POLICY_GROUP_TWICE,
// TOO_MANY_POLICY_GROUPS).
Result<std::vector<std::optional<InterfaceValues>>> plan_update(const Attachment& attachment,
                                                                const UpdateIntent& intent);

}  // namespace berth::agent
