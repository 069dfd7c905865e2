// An attachment: a VM's interfaces, each in a VPC and on a function of this host's eSwitch of its own, and
// the devices that come along. All or nothing: it is attached as a whole, or not at all.
#pragma once

#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"
#include "dataplane/compile.h"
#include "host/function_driver.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::agent {

// What an interface carries, for whoever looks at it: every class is treated alike here.
enum class NetworkClass : std::uint8_t { kUnspecified, kCompute, kConverged, kStorage, kManagement };

struct InterfaceIntent {
  VpcId vpc;
  std::vector<IpAddress> ips;  // with those of `allocate` one or two: at most one of each family
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;  // 0: the largest that fits the underlay
  dataplane::Rates rates = {};
  NetworkClass network_class = NetworkClass::kUnspecified;
  std::vector<dataplane::PolicyGroupId> policy_groups = {};  // of its VPC, each once, in any order
  // Subnets of its VPC from which the host chooses an address each. An attachment's `ips` have them.
  std::vector<IpPrefix> allocate = {};
  // A device of the host that its function shall be near; none: all that come along.
  std::optional<host::PciAddress> near = {};
  auto operator<=>(const InterfaceIntent&) const = default;
};

// What the VMaaS asked for, well-formed.
struct AttachIntent {
  RequestId request;
  VmId vm;
  std::vector<InterfaceIntent> interfaces;
  std::vector<host::PciAddress> devices = {};  // GPUs, drives: they come and go with the interfaces
  // W3C Trace Context level 1, as the caller sent it; empty: none. Passed on with the completion.
  std::string traceparent = {};
  auto operator<=>(const AttachIntent&) const = default;
};

struct DetachIntent {
  RequestId request;
  AttachmentId attachment;
  std::string etag = {};  // records.h; empty: however it is
  std::string traceparent = {};
};

enum class AttachmentState : std::uint8_t {
  kAttaching,
  kAttached,
  kDetaching,
  kQuarantined,  // detached, but its function could not be proven clean
  kRestoring,    // attached before the host was rebooted, and not yet again; it keeps what it has
};

// What the eSwitch shall do with the function's packets. The workflows move it, the reconciler obeys.
enum class Gate : std::uint8_t {
  kNone,    // the function is nobody's: no rule names it
  kClosed,  // everything from it is dropped
  kOpen,    // the VPC's pipeline
};

// What an update may change of an interface.
struct InterfaceValues {
  dataplane::Rates rates = {};
  std::vector<dataplane::PolicyGroupId> policy_groups = {};
  std::uint32_t policy_set = 0;  // as of an Interface
};

// An interface as it is: what it shall be, and the function that it is on.
struct Interface {
  InterfaceIntent intent;
  host::Function function;
  std::uint32_t policy_set = 0;  // the number of its dataplane::PolicySet; AttachmentStore gives it
  // While it is updated: what it shall be or, once that is kept, what it was.
  std::optional<InterfaceValues> other = {};
};

inline dataplane::EswitchPort port_of(const Interface& interface) {
  return dataplane::EswitchPort::function(interface.function.index);
}

// With its groups in the order of a set's.
inline dataplane::PolicySet policy_set_of(std::uint32_t number,
                                          std::vector<dataplane::PolicyGroupId> groups) {
  std::ranges::sort(groups);
  return {.number = number, .groups = std::move(groups)};
}

// How far an update has come, and with it the rules.
enum class UpdateStage : std::uint8_t {
  kAccepted,  // it is as it was
  kStaged,    // it is as it was, and the policy sets of the other values stand beside
  kMoved,     // packets go by the other values, and the policy sets of what it was are still there
  kKept,      // what was the other values is what it is, on the disk, too: there is no way back
};

struct Update {
  UpdateStage stage = UpdateStage::kAccepted;
  bool is_unwanted = false;      // the VMaaS has withdrawn it: it will be taken back
  bool may_be_withdrawn = true;  // neither being kept nor being taken back
};

struct Attachment {
  AttachmentId id;
  VmId vm;
  std::vector<Interface> interfaces;  // as many as were asked for, in that order
  std::vector<host::PciAddress> devices = {};
  AttachmentState state = AttachmentState::kAttaching;
  Gate gate = Gate::kNone;  // of every function
  // An operation has it, which has not ended: nobody else touches it.
  bool has_operation = false;
  // The VMaaS has withdrawn it while it was being attached: it will be undone.
  bool is_unwanted = false;
  // Its rules are known to be gone: a quarantined attachment then holds no address any more.
  bool is_withdrawn = false;
  // At the last attempt, of a quarantined one: what could not be proven; of one that is being restored: why
  // it is not attached again.
  std::optional<Error> fault = {};
  // Of one that is attached and being changed. Its interfaces' intents are those of before, until it is kept.
  std::optional<Update> update = {};
};

// An interface's intent with other values in it.
InterfaceIntent with_values(InterfaceIntent intent, const InterfaceValues& values);
// The other values become what the interfaces are, and the reverse.
void keep_values(Attachment& attachment);

// For messages: the VPCs that it is in, each once: "blue, green".
std::string vpcs_of(const std::vector<InterfaceIntent>& interfaces);
std::string vpcs_of(const Attachment& attachment);

}  // namespace berth::agent
