#include "rpc/core/lifetime.h"

#include "rpc/core/backoff.h"

#include <gtest/gtest.h>

namespace berth::rpc::core {
namespace {

using namespace std::chrono_literals;
using Action = Lifetime::Action;

constexpr Time kStart = Time() + 1h;

Limits test_limits() {
  Limits limits;
  limits.handshake = 10s;
  limits.idle = 300s;
  limits.keepalive = 60s;
  limits.keepalive_timeout = 20s;
  limits.connection_grace = 30s;
  return limits;
}

// Answers every alarm and receives nothing; when the connection is closed, or `end`.
Time when_closed(Lifetime& lifetime, Time end) {
  while (lifetime.next() < end) {
    const Time now = lifetime.next();
    if (lifetime.check(now).action == Action::kClose) return now;
  }
  return end;
}

TEST(Lifetime, AHandshakeHasADeadline) {
  Lifetime lifetime(Role::kServer, test_limits(), kStart, 0);
  EXPECT_EQ(lifetime.check(kStart + 9s).action, Action::kNone);
  const auto verdict = lifetime.check(kStart + 10s);
  EXPECT_EQ(verdict.action, Action::kClose);
  EXPECT_EQ(verdict.reason.reason, "HANDSHAKE_TIMEOUT");
}

TEST(Lifetime, BytesDoNotExtendTheHandshake) {
  Lifetime lifetime(Role::kServer, test_limits(), kStart, 0);
  lifetime.on_received(kStart + 9s);
  EXPECT_EQ(lifetime.check(kStart + 10s).action, Action::kClose);
}

TEST(Lifetime, AMutePeerIsProbedAndThenDropped) {
  Lifetime lifetime(Role::kServer, test_limits(), kStart, 0);
  lifetime.on_ready(kStart);
  EXPECT_EQ(lifetime.check(kStart + 60s).action, Action::kPing);
  EXPECT_EQ(lifetime.check(kStart + 61s).action, Action::kNone);
  EXPECT_EQ(lifetime.next(), kStart + 80s);
  EXPECT_EQ(lifetime.check(kStart + 80s).reason.reason, "KEEPALIVE_TIMEOUT");
}

TEST(Lifetime, AnAnsweredProbeStartsTheSilenceAnew) {
  Lifetime lifetime(Role::kServer, test_limits(), kStart, 0);
  lifetime.on_ready(kStart);
  EXPECT_EQ(lifetime.check(kStart + 60s).action, Action::kPing);
  lifetime.on_received(kStart + 61s);
  EXPECT_EQ(lifetime.check(kStart + 80s).action, Action::kNone);
  EXPECT_EQ(lifetime.next(), kStart + 121s);
}

TEST(Lifetime, AnIdleConnectionIsDrainedAndThenClosed) {
  auto limits = test_limits();
  limits.keepalive = 0s;
  Lifetime lifetime(Role::kServer, limits, kStart, 0);
  lifetime.on_ready(kStart);
  const auto verdict = lifetime.check(kStart + 300s);
  EXPECT_EQ(verdict.action, Action::kDrain);
  EXPECT_EQ(verdict.reason.reason, "CONNECTION_IDLE");
  EXPECT_EQ(lifetime.check(kStart + 330s).reason.reason, "DRAIN_TIMEOUT");
  EXPECT_EQ(lifetime.next(), Time::max());
}

TEST(Lifetime, AConnectionWithACallIsNotIdle) {
  auto limits = test_limits();
  limits.keepalive = 0s;
  Lifetime lifetime(Role::kServer, limits, kStart, 0);
  lifetime.on_ready(kStart);
  lifetime.on_call_count(1, kStart + 1s);
  EXPECT_EQ(lifetime.next(), Time::max());
  lifetime.on_call_count(0, kStart + 1000s);
  EXPECT_EQ(lifetime.next(), kStart + 1300s);
}

TEST(Lifetime, AClientKeepsAnIdleConnection) {
  auto limits = test_limits();
  limits.keepalive = 0s;
  Lifetime lifetime(Role::kClient, limits, kStart, 0);
  lifetime.on_ready(kStart);
  EXPECT_EQ(lifetime.next(), Time::max());
}

TEST(Lifetime, AgeIsSpreadByATenth) {
  auto limits = test_limits();
  limits.keepalive = 0s;
  limits.idle = 0s;
  limits.connection_age = 1000s;
  Lifetime first(Role::kServer, limits, kStart, 0);
  Lifetime last(Role::kServer, limits, kStart, 1);
  first.on_ready(kStart);
  last.on_ready(kStart);
  EXPECT_EQ(when_closed(first, kStart + 24h), kStart + 1030s);
  EXPECT_EQ(when_closed(last, kStart + 24h), kStart + 1130s);
}

TEST(Lifetime, AgeCountsFromWhenItIsReady) {
  auto limits = test_limits();
  limits.keepalive = 0s;
  limits.idle = 0s;
  limits.connection_age = 1s;
  Lifetime lifetime(Role::kServer, limits, kStart, 0);
  lifetime.on_ready(kStart + 2s);  // a slow handshake
  EXPECT_EQ(lifetime.check(kStart + 2s).action, Lifetime::Action::kNone);
  EXPECT_EQ(lifetime.next(), kStart + 3s);
}

TEST(Backoff, DoublesUpToTheLongestAndStartsAnew) {
  Backoff backoff(100ms, 1000ms);
  EXPECT_EQ(backoff.next(0.5), 100ms);
  EXPECT_EQ(backoff.next(0.5), 200ms);
  EXPECT_EQ(backoff.next(0.5), 400ms);
  EXPECT_EQ(backoff.next(0.5), 800ms);
  EXPECT_EQ(backoff.next(0.5), 1000ms);
  EXPECT_EQ(backoff.next(0.5), 1000ms);
  backoff.reset();
  EXPECT_EQ(backoff.next(0.5), 100ms);
}

TEST(Backoff, IsSpreadByAFifthEitherWay) {
  EXPECT_EQ(Backoff(1000ms, 1000ms).next(0), 800ms);
  EXPECT_EQ(Backoff(1000ms, 1000ms).next(1), 1200ms);
}

}  // namespace
}  // namespace berth::rpc::core
