// An attachment: one interface of one VM in one VPC, on one function of this host's eSwitch.
#pragma once

#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"
#include "dataplane/compile.h"
#include "host/function_driver.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace berth::agent {

// What the VMaaS asked for, well-formed.
struct AttachIntent {
  RequestId request;
  VmId vm;
  VpcId vpc;
  std::vector<IpAddress> ips;  // one or two: at most one of each family
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;  // 0: the largest that fits the underlay
  dataplane::Rates rates = {};
  std::vector<host::PciAddress> devices = {};  // GPUs, drives: they come and go with the interface
  auto operator<=>(const AttachIntent&) const = default;
};

enum class AttachmentState : std::uint8_t {
  kAttaching,
  kAttached,
  kDetaching,
  kQuarantined,  // detached, but its function could not be proven clean
};

// What the eSwitch shall do with the function's packets. The workflows move it, the reconciler obeys.
enum class Gate : std::uint8_t {
  kNone,    // the function is nobody's: no rule names it
  kClosed,  // everything from it is dropped
  kOpen,    // the VPC's pipeline
};

struct Attachment {
  AttachmentId id;
  AttachIntent intent;
  AttachmentState state = AttachmentState::kAttaching;
  Gate gate = Gate::kNone;
  // Its rules are known to be gone: a quarantined attachment then holds no address any more.
  bool is_withdrawn = false;
  host::Function function;
  // Of a quarantined one: what could not be proven, at the last attempt.
  std::optional<Error> fault = {};
};

}  // namespace berth::agent
