// What a VMaaS asks for, in tests: VMs with one interface and the addresses 10.1.0.N and 02:00:00:00:01:N.
#pragma once

#include "agent/attachment.h"

#include <cstdint>
#include <string>

namespace berth::testing {

inline agent::InterfaceIntent make_interface(const std::string& vpc, std::uint8_t last_octet) {
  return {.vpc = VpcId::trusted(vpc),
          .ips = {IpAddress::v4(0x0A010000U + last_octet)},
          .mac = {{0x02, 0, 0, 0, 1, last_octet}}};
}

inline agent::AttachIntent make_intent(const std::string& vm, const std::string& vpc,
                                       std::uint8_t last_octet) {
  return {.request = RequestId::trusted("req-" + vm),
          .vm = VmId::trusted(vm),
          .interfaces = {make_interface(vpc, last_octet)}};
}

}  // namespace berth::testing
