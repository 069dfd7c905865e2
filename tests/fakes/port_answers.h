// The VM that the tests of the slow path have, and its gateway.
#pragma once

#include "dataplane/slowpath/port_answers.h"

#include <chrono>
#include <string_view>

namespace berth::testing {

inline constexpr const char* kVmMac = "02:00:00:00:01:05";
inline constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
inline constexpr const char* kVm = "10.1.0.5";
inline constexpr const char* kGateway = "10.1.0.1";
inline constexpr const char* kVm6 = "2001:db8:1::5";
inline constexpr const char* kGateway6 = "2001:db8:1::1";

inline dataplane::PortAnswers make_answers() {
  const auto address = [](std::string_view text) { return IpAddress::parse("ip", text).value(); };
  const auto prefix = [](std::string_view text) { return IpPrefix::parse("prefix", text).value(); };
  return {.vm_mac = MacAddress::parse("mac", kVmMac).value(),
          .gateway_mac = MacAddress::parse("mac", kGatewayMac).value(),
          .addresses = {{address(kVm), prefix("10.1.0.0/24"), address(kGateway)},
                        {address(kVm6), prefix("2001:db8:1::/64"), address(kGateway6)}},
          .mtu_bytes = 1450,
          .dns_servers = {address("10.1.0.2"), address("2001:db8:1::2"), address("10.1.0.3")},
          .domain = "blue.example",
          .hostname = "web",
          .routes = {{prefix("10.2.0.0/16")}, {prefix("2001:db8:2::/48")}},
          .lease = std::chrono::seconds(7200)};
}

}  // namespace berth::testing
