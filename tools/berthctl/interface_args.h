// An interface as it is typed: "vpc=blue,ip=10.1.0.5,ip=2001:db8::5,mac=02:00:00:00:01:05,mtu=1400,
// class=storage,policy-group=web,near=0000:18:00.0,max-rate-from-vm=500Mbit,max-rate-to-vm=1Gbit". What the
// agent checks is not checked here.
#pragma once

#include "base/error.h"
#include "berth/northbound/v1/attachments.pb.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::ctl {

struct InterfaceArgs {
  std::string vpc, mac;
  std::vector<std::string> ips, allocate, policy_groups;
  std::uint32_t mtu_bytes = 0;
  std::uint64_t max_rate_from_vm = 0;  // bits per second
  std::uint64_t max_rate_to_vm = 0;
  northbound::v1::NetworkClass network_class = northbound::v1::NETWORK_CLASS_UNSPECIFIED;
  std::string near;  // a PCI address of the host
};

const std::map<std::string, std::uint64_t>& rate_units();
const std::map<std::string, northbound::v1::NetworkClass>& network_classes();

// INVALID_ARGUMENT (MALFORMED_INTERFACE) naming the part that is not understood.
Result<InterfaceArgs> parse_interface(std::string_view text);

}  // namespace berth::ctl
