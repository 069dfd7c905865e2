// Limits that need sockets, at values that are not the defaults.
#include "tests/interop/loopback.h"
#include "tests/interop/relay.h"

#include <cerrno>
#include <sys/socket.h>

namespace {
bool accept_fails = false;
int accepts_failed = 0;
}  // namespace

// accept4() as the linker gives it to this program (--wrap): a process without free descriptors. Real
// exhaustion would starve the sanitizers too; attacks.py does that without them.
extern "C" int __real_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
extern "C" int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if (!accept_fails) return __real_accept4(fd, address, size, flags);
  ++accepts_failed;
  errno = EMFILE;
  return -1;
}

namespace berth::test {
namespace {

using rpc::Channel;

asio::awaitable<void> say_once(Channel& channel, std::optional<Result<std::string>>& outcome) {
  outcome = co_await say(channel);
}
asio::awaitable<void> close(Channel& channel) {
  co_await channel.close();
}

int failed_accepts_within(std::chrono::milliseconds time, std::chrono::milliseconds pause) {
  Loopback loop({.accept_pause = pause});
  loop.serve();
  accept_fails = true;
  accepts_failed = 0;
  Channel channel(loop.io.get_executor(), loop.channel_options());
  std::optional<Result<std::string>> outcome;
  asio::co_spawn(loop.io, say_once(channel, outcome), [](const std::exception_ptr&) {});
  EXPECT_FALSE(loop.run_until([&] { return outcome.has_value(); }, time));
  accept_fails = false;
  EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }));  // the client was not forgotten
  if (outcome) EXPECT_TRUE(*outcome) << outcome->error().message;
  loop.run(close(channel));
  return accepts_failed;
}

TEST(Limits, AcceptRestsWhenItHasRunOutOfDescriptorsAndRecovers) {
  const int patient = failed_accepts_within(300ms, 200ms);
  EXPECT_GE(patient, 1);
  EXPECT_LE(patient, 3);
  const int hasty = failed_accepts_within(300ms, 20ms);
  EXPECT_GT(hasty, patient);
  EXPECT_LE(hasty, 17);
}

struct Unread {
  Result<rpc::ClientReader<EchoReply>> replies = fail(Code::kInternal, "", "not started");
};
// A stream of replies of 1 KB that nobody reads.
asio::awaitable<void> leave_unread(Channel& channel, Unread& unread) {
  EchoRequest request;
  request.set_count(100'000);
  request.set_reply_bytes(1000);
  unread.replies = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
}
asio::awaitable<void> expect_end(rpc::ClientReader<EchoReply> replies, Code code, std::string reason) {
  const auto status = co_await replies.finish();
  EXPECT_FALSE(status);
  if (status) co_return;
  EXPECT_EQ(status.error().code, code) << status.error().message;
  EXPECT_EQ(status.error().reason, reason);
}

TEST(Limits, AWriterWaitsWhenItIsTooFarAhead) {
  for (const std::size_t ahead : {5'000U, 50'000U}) {
    Loopback loop({.write_ahead_bytes = ahead});
    loop.serve();
    auto options = loop.channel_options();
    options.limits.stream_window_bytes = 10'000;
    Channel channel(loop.io.get_executor(), options);
    Unread unread;
    loop.run(leave_unread(channel, unread));
    EXPECT_FALSE(loop.run_until([&] { return loop.counts.ended > 0; }, 100ms));
    const auto written = static_cast<std::size_t>(loop.counts.replies) * 1000;
    EXPECT_GE(written, 10'000 + ahead - 2'000);  // without the one that waits
    EXPECT_LE(written, 10'000 + ahead + 5'000);
    unread = {};
    loop.run(close(channel));
  }
}

TEST(Limits, RepliesThatNobodyTakesFailTheirWriter) {
  // One stream may go far ahead, but not beyond the budget of the connection.
  Loopback loop({.outbound_bytes = 200'000, .write_ahead_bytes = 1'000'000});
  loop.serve();
  auto options = loop.channel_options();
  options.limits.stream_window_bytes = 10'000;
  Channel channel(loop.io.get_executor(), options);
  Unread unread;
  loop.run(leave_unread(channel, unread));
  ASSERT_TRUE(loop.run_until([&] { return loop.counts.ended == 1; }));
  EXPECT_EQ(loop.counts.cancelled, 0);
  EXPECT_LE(loop.counts.replies, 300);
  std::optional<Result<std::string>> outcome;
  asio::co_spawn(loop.io, say_once(channel, outcome), [](const std::exception_ptr&) {});
  ASSERT_TRUE(loop.run_until([&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->error().reason, "PEER_TOO_SLOW");  // from three quarters no new calls
  loop.run(expect_end(*unread.replies, Code::kResourceExhausted, "PEER_TOO_SLOW"));
  unread = {};
  loop.run(close(channel));
}

asio::awaitable<void> wait_long(Channel& channel, std::optional<Result<EchoReply>>& outcome) {
  EchoRequest request;
  request.set_count(60'000);
  outcome = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
}

// A call in flight when the network swallows everything.
struct BlackHole {
  explicit BlackHole(rpc::Limits server_limits, rpc::Limits client_limits) : loop(server_limits) {
    loop.serve();
    relay.emplace(loop.io, loop.server.port());
    relayed.spawn("relay", relay->run());
    auto options = loop.channel_options();
    options.endpoints = {"127.0.0.1:" + std::to_string(relay->port())};
    options.limits = client_limits;
    channel.emplace(loop.io.get_executor(), options);
    asio::co_spawn(loop.io, wait_long(*channel, outcome), [](const std::exception_ptr&) {});
    EXPECT_TRUE(loop.run_until([&] { return loop.counts.started == 1; }));
    EXPECT_FALSE(loop.run_until([&] { return outcome || loop.counts.ended > 0; }, 300ms))
        << "pings are answered";
    relay->swallow();
  }
  ~BlackHole() {
    loop.run(close(*channel));
    relayed.cancel();
    EXPECT_TRUE(loop.run_until([&] { return relayed.count() == 0; }));
  }
  Loopback loop;
  std::optional<Relay> relay;
  TaskGroup relayed{loop.io.get_executor()};
  std::optional<Channel> channel;
  std::optional<Result<EchoReply>> outcome;
};
const rpc::Limits kAlert{.keepalive = 50ms, .keepalive_timeout = 50ms};

TEST(Keepalive, AServerNoticesThatItsClientIsOutOfReach) {
  BlackHole hole(kAlert, {});
  EXPECT_TRUE(hole.loop.run_until([&] { return hole.loop.counts.cancelled == 1; }, 5s));
  EXPECT_FALSE(hole.outcome);
}

TEST(Keepalive, AClientNoticesThatItsServerIsOutOfReach) {
  BlackHole hole({}, kAlert);
  ASSERT_TRUE(hole.loop.run_until([&] { return hole.outcome.has_value(); }, 5s));
  EXPECT_EQ(hole.outcome->error().code, Code::kUnavailable);
  EXPECT_EQ(hole.outcome->error().reason, "KEEPALIVE_TIMEOUT");
  EXPECT_EQ(hole.loop.counts.ended, 0);
}

TEST(Limits, CallsOnAnOldConnectionGetItsGrace) {
  Loopback loop({.connection_age = 50ms, .connection_grace = 150ms});
  loop.serve();
  Channel channel(loop.io.get_executor(), loop.channel_options());
  std::optional<Result<EchoReply>> outcome;
  const auto begun = std::chrono::steady_clock::now();
  asio::co_spawn(loop.io, wait_long(channel, outcome), [](const std::exception_ptr&) {});
  ASSERT_TRUE(loop.run_until([&] { return outcome.has_value(); }, 10s));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 190ms);
  EXPECT_EQ(outcome->error().code, Code::kUnavailable);
  EXPECT_TRUE(loop.run_until([&] { return loop.counts.cancelled == 1; }));
  loop.run(close(channel));
}

TEST(Limits, AStreamAboveTheLimitWaitsForAnother) {
  Loopback loop({.streams = 1});
  loop.serve();
  Channel channel(loop.io.get_executor(), loop.channel_options());
  std::optional<Result<EchoReply>> first;
  std::optional<Result<std::string>> second;
  asio::co_spawn(loop.io, wait_long(channel, first), [](const std::exception_ptr&) {});
  ASSERT_TRUE(loop.run_until([&] { return loop.counts.started == 1; }));
  asio::co_spawn(loop.io, say_once(channel, second), [](const std::exception_ptr&) {});
  EXPECT_FALSE(loop.run_until([&] { return second.has_value(); }, 50ms));
  loop.run(close(channel));
}

}  // namespace
}  // namespace berth::test
