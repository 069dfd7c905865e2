// Test-only: a Responder that is the gateway of one VM, and the names of both.
#pragma once

#include "dataplane/slowpath/responder.h"
#include "tests/fakes/port_answers.h"
#include "tests/unit/slowpath/octets.h"

#include <gtest/gtest.h>

namespace berth::dataplane::slowpath::test {

using berth::testing::kGateway;
using berth::testing::kGateway6;
using berth::testing::kGatewayMac;
using berth::testing::kVm;
using berth::testing::kVm6;
using berth::testing::kVmMac;
using berth::testing::make_answers;

inline constexpr const char* kBroadcast = "ff:ff:ff:ff:ff:ff";
inline constexpr const char* kVmLinkLocal = "fe80::ff:fe00:105";
inline constexpr const char* kGatewayLinkLocal = "fe80::ff:fe00:fe";

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
