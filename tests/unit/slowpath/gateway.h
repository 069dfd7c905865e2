// Test-only: a Responder that is the gateway of one VM, and the names of both.
#pragma once

#include "dataplane/slowpath/responder.h"
#include "tests/unit/slowpath/octets.h"

#include <gtest/gtest.h>

namespace berth::dataplane::slowpath::test {

inline constexpr const char* kVmMac = "02:00:00:00:01:05";
inline constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
inline constexpr const char* kBroadcast = "ff:ff:ff:ff:ff:ff";
inline constexpr const char* kVm = "10.1.0.5";
inline constexpr const char* kGateway = "10.1.0.1";
inline constexpr const char* kVm6 = "2001:db8:1::5";
inline constexpr const char* kGateway6 = "2001:db8:1::1";
inline constexpr const char* kVmLinkLocal = "fe80::ff:fe00:105";
inline constexpr const char* kGatewayLinkLocal = "fe80::ff:fe00:fe";

inline PortAnswers make_answers() {
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

class GatewayTest : public ::testing::Test {
 protected:
  explicit GatewayTest(ResponderLimits limits = {{1'000'000, 1'000'000}, {1'000'000, 1'000'000}})
      : responder(2, limits) {
    set(make_answers());
  }
  void set(PortAnswers answers) {
    const auto done = responder.set_answers(vf0, std::move(answers), now);
    EXPECT_TRUE(done) << done.error().message;
  }

  // The reply to a frame; nothing for silence. Whatever is sent has right lengths and checksums, and the
  // gateway's MAC; `outcome` says what it counted as, once.
  Octets ask(const Octets& frame) {
    const Counters before = responder.counters(vf0);
    return take(responder.answer(vf0, frame, now, buffer), before);
  }
  Octets too_big(const Octets& frame) {
    const Counters before = responder.counters(vf0);
    return take(responder.answer_too_big(vf0, frame, now, buffer), before);
  }
  Octets take(Answer answer, const Counters& before) {
    outcome = answer.outcome;
    EXPECT_EQ(responder.counters(vf0)[outcome], before[outcome] + 1);
    EXPECT_EQ(answer.size != 0, is_answered(answer.outcome));
    Octets reply(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(answer.size));
    if (reply.empty()) return reply;
    EXPECT_EQ(fault_of(reply), "");
    EXPECT_EQ(Octets(reply.begin() + 6, reply.begin() + 12), mac(kGatewayMac));
    return reply;
  }

  const EswitchPort vf0 = EswitchPort::function(0);
  Time now = Time() + std::chrono::hours(1);
  Responder responder;
  Octets buffer = Octets(kMaxReplyBytes);
  Outcome outcome{};
};

// Bytes of a frame as hex.
inline std::string part(const Octets& frame, std::size_t at, std::size_t size) {
  if (at + size > frame.size()) return "not there";
  return to_hex(Octets(frame.begin() + static_cast<std::ptrdiff_t>(at),
                       frame.begin() + static_cast<std::ptrdiff_t>(at + size)));
}

}  // namespace berth::dataplane::slowpath::test
