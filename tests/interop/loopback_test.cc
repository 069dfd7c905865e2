// Our server against our channel: every kind of call, every way to end one.
#include "tests/interop/loopback.h"

namespace berth::test {
namespace {

using rpc::Channel;

EchoRequest request_of(std::string text, std::uint32_t count = 0) {
  EchoRequest request;
  request.set_text(std::move(text));
  request.set_count(count);
  return request;
}

class LoopbackTest : public testing::Test {
 protected:
  ~LoopbackTest() override {
    bool closed = false;
    asio::co_spawn(loop.io, channel.close(), [&](const std::exception_ptr&) { closed = true; });
    EXPECT_TRUE(loop.run_until([&] { return closed; }));
  }
  struct Serving : Loopback {
    Serving() { serve(); }
  };
  Serving loop;
  Channel channel{loop.io.get_executor(), loop.channel_options()};
};

asio::awaitable<void> say_hello(Channel& channel) {
  const auto request = request_of("hello");
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  EXPECT_TRUE(reply) << reply.error().message;
  if (reply) EXPECT_EQ(reply->text(), "hello");
}
TEST_F(LoopbackTest, AUnaryCallIsAnswered) {
  loop.run(say_hello(channel));
}

asio::awaitable<void> fail_richly(Channel& channel) {
  auto request = request_of("vm-7");
  request.set_fail_code(9);
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  EXPECT_FALSE(reply);
  const Error expected{.code = Code::kFailedPrecondition,
                       .message = "as you wished: 50% of ü",
                       .reason = "ON_REQUEST",
                       .violations = {{.field = "fail_code", .description = "is not zero"}},
                       .metadata = {{"text", "vm-7"}}};
  EXPECT_EQ(reply.error(), expected);
}
TEST_F(LoopbackTest, AnErrorArrivesAsItWas) {
  loop.run(fail_richly(channel));
}

asio::awaitable<void> count_to(Channel& channel, std::uint32_t count, std::uint32_t bytes) {
  auto request = request_of("n", count);
  request.set_reply_bytes(bytes);
  const auto replies = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
  EXPECT_TRUE(replies);
  std::uint32_t seen = 0;
  while (true) {
    const auto reply = co_await replies->read();
    EXPECT_TRUE(reply) << reply.error().message;
    if (!reply || !*reply) break;
    EXPECT_EQ((*reply)->number(), seen);
    EXPECT_EQ((*reply)->padding().size(), bytes);
    ++seen;
  }
  EXPECT_EQ(seen, count);
}
TEST_F(LoopbackTest, AServerStreamsManySmallMessages) {
  loop.run(count_to(channel, 20'000, 100));
}
TEST_F(LoopbackTest, AServerStreamsLargeMessages) {
  loop.run(count_to(channel, 20, 3'000'000));
}
TEST_F(LoopbackTest, AnEmptyStreamEndsWell) {
  loop.run(count_to(channel, 0, 0));
}

asio::awaitable<void> take_to(Channel& channel, std::uint32_t count) {
  const auto request = request_of("n", count);
  const auto replies = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
  EXPECT_TRUE(replies);
  EchoReply reply;
  std::uint32_t seen = 0;
  std::uint32_t waits = 0;
  while (true) {
    const auto next = replies->take(reply);
    EXPECT_TRUE(next) << next.error().message;
    if (!next || *next == rpc::Next::kEnd) break;
    if (*next == rpc::Next::kMessage) {
      EXPECT_EQ(reply.number(), seen);
      ++seen;
      continue;
    }
    ++waits;
    const auto woken = co_await replies->wait();
    EXPECT_TRUE(woken);
  }
  EXPECT_EQ(seen, count);
  EXPECT_LT(waits, count / 10);
}
TEST_F(LoopbackTest, WhatHasComeIsTakenWithoutWaiting) {
  loop.run(take_to(channel, 20'000));
}

asio::awaitable<void> join_words(Channel& channel) {
  const auto writer = co_await channel.client_stream<EchoRequest, EchoReply>("berth.test.Echo/Join");
  EXPECT_TRUE(writer);
  for (const char* word : {"a", "b", "c"}) {
    const auto written = co_await writer->write(request_of(word));
    EXPECT_TRUE(written);
  }
  const auto reply = co_await writer->finish();
  EXPECT_TRUE(reply) << reply.error().message;
  if (reply) EXPECT_EQ(reply->text(), "abc");
}
TEST_F(LoopbackTest, AClientStreams) {
  loop.run(join_words(channel));
}

asio::awaitable<void> chat(Channel& channel) {
  const auto stream = co_await channel.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat");
  EXPECT_TRUE(stream);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto written = co_await stream->write(request_of("line " + std::to_string(i)));
    EXPECT_TRUE(written);
    const auto reply = co_await stream->read();
    EXPECT_TRUE(reply && *reply);
    if (reply && *reply) EXPECT_EQ((*reply)->number(), i);
  }
  stream->writes_done();
  const auto end = co_await stream->read();
  EXPECT_TRUE(end && !*end);
  const auto status = co_await stream->finish();
  EXPECT_TRUE(status);
}
TEST_F(LoopbackTest, BothSidesStream) {
  loop.run(chat(channel));
}

asio::awaitable<void> echo_metadata(Channel& channel) {
  const rpc::CallOptions options{
      .metadata = {{"echo-initial", "first"}, {"echo-trailing-bin", std::string("\0\xFF", 2)}}};
  const auto stream = co_await channel.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat", options);
  const auto written = co_await stream->write(request_of("x"));
  EXPECT_TRUE(written);
  const auto initial = co_await stream->initial_metadata();
  EXPECT_TRUE(initial && initial->contains("echo-initial"));
  stream->writes_done();
  const auto status = co_await stream->finish();
  EXPECT_TRUE(status);
  const auto& trailing = stream->trailing_metadata();
  EXPECT_EQ(trailing.count("echo-trailing-bin"), 1U);
  if (!trailing.empty()) EXPECT_EQ(trailing.begin()->second, std::string("\0\xFF", 2));
}
TEST_F(LoopbackTest, MetadataGoesBothWays) {
  loop.run(echo_metadata(channel));
}

asio::awaitable<void> be_late(Channel& channel) {
  co_await say_hello(channel);  // connecting may take longer than the deadline
  const auto request = request_of("slow", 60'000);
  const rpc::CallOptions options{.timeout = 50ms};
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request, options);
  EXPECT_EQ(reply.error().code, Code::kDeadlineExceeded);
}
TEST_F(LoopbackTest, ADeadlineEndsTheCallAndCancelsItsHandler) {
  loop.run(be_late(channel));
  EXPECT_TRUE(loop.run_until([&] { return loop.counts.cancelled == 1; }));
}

asio::awaitable<void> start_and_drop(Channel& channel) {
  const auto stream = co_await channel.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat");
  const auto written = co_await stream->write(request_of("x"));
  EXPECT_TRUE(written);
  const auto reply = co_await stream->read();
  EXPECT_TRUE(reply);
}
TEST_F(LoopbackTest, DroppingTheHandleCancelsTheHandler) {
  loop.run(start_and_drop(channel));
  EXPECT_TRUE(loop.run_until([&] { return loop.counts.cancelled == 1; }));
}

asio::awaitable<void> never_read(Channel& channel, Loopback& loop) {
  auto request = request_of("n", 100'000);
  request.set_reply_bytes(1000);
  const auto replies = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
  EXPECT_TRUE(replies);
  const auto waited = co_await sleep_for(100ms);
  EXPECT_TRUE(waited);
  EXPECT_EQ(loop.counts.ended, 0);  // back-pressure: the handler waits in write()
}
TEST_F(LoopbackTest, ASlowReaderHoldsTheWriterBack) {
  loop.run(never_read(channel, loop));
  EXPECT_TRUE(loop.run_until([&] { return loop.counts.cancelled == 1; }));
}

asio::awaitable<void> call_nothing(Channel& channel) {
  const auto request = request_of("x");
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Nothing", request);
  EXPECT_EQ(reply.error().code, Code::kUnimplemented);
}
TEST_F(LoopbackTest, AnUnknownMethodIsUnimplemented) {
  loop.run(call_nothing(channel));
}

asio::awaitable<void> send_too_much(Channel& channel) {
  auto request = request_of("x");
  request.set_padding(std::string(5 << 20, 'x'));
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  EXPECT_EQ(reply.error().code, Code::kResourceExhausted);
  EXPECT_EQ(reply.error().reason, "MESSAGE_TOO_LARGE");
  co_await say_hello(channel);
}
TEST_F(LoopbackTest, AMessageOverTheLimitFailsItsCallOnly) {
  loop.run(send_too_much(channel));
}

asio::awaitable<void> outlive_the_server(Channel& channel, Loopback& loop) {
  co_await say_hello(channel);
  EXPECT_EQ(loop.counts.ended, 1);
}
TEST_F(LoopbackTest, AStoppedServerAnswersWhatRunsAndRefusesWhatComes) {
  loop.run(outlive_the_server(channel, loop));
  bool answered = false;
  const auto wait_for_slow = [](Channel& on, bool& done) -> asio::awaitable<void> {
    const auto request = request_of("slow", 200);
    const auto reply = co_await on.unary<EchoReply>("berth.test.Echo/Say", request);
    EXPECT_TRUE(reply) << reply.error().message;
    done = true;
  };
  asio::co_spawn(loop.io, wait_for_slow(channel, answered), [](const std::exception_ptr&) {});
  ASSERT_TRUE(loop.run_until([&] { return loop.counts.started == 2; }));
  loop.stop_server();
  EXPECT_TRUE(loop.run_until([&] { return answered; }));

  const auto refused = [](Channel& on) -> asio::awaitable<void> {
    const auto request = request_of("late");
    const auto reply = co_await on.unary<EchoReply>("berth.test.Echo/Say", request);
    EXPECT_EQ(reply.error().code, Code::kUnavailable);
  };
  loop.run(refused(channel));
}

asio::awaitable<void> say_as(Loopback& loop, std::string client, Result<void>& outcome) {
  Channel channel(loop.io.get_executor(), loop.channel_options(client));
  const auto request = request_of("x");
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  outcome = reply ? Result<void>() : std::unexpected(reply.error());
  co_await channel.close();
}
TEST_F(LoopbackTest, StrangersAreRefusedInTheHandshake) {
  for (const char* stranger : {"rogue", "wrong-usage"}) {
    Result<void> outcome;
    loop.run(say_as(loop, stranger, outcome));
    ASSERT_FALSE(outcome) << stranger;
    EXPECT_EQ(outcome.error().code, Code::kUnavailable) << outcome.error().message;
  }
  EXPECT_EQ(loop.counts.started, 0);
}

TEST_F(LoopbackTest, TheAuthorizeHookDecidesByNameAndMethod) {
  std::string asked;
  loop.server.set_authorize([&](const rpc::Peer& peer, std::string_view method) -> Result<void> {
    asked = method;
    if (peer.spiffe_id() == "spiffe://berth.test/role/vmaas") return {};
    return fail(Code::kPermissionDenied, "WRONG_ROLE", peer.common_name + " may not call this");
  });
  Result<void> outcome;
  loop.run(say_as(loop, "client", outcome));
  EXPECT_TRUE(outcome);
  EXPECT_EQ(asked, "berth.test.Echo/Say");
  loop.run(say_as(loop, "twofold", outcome));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kPermissionDenied);
  EXPECT_EQ(outcome.error().reason, "WRONG_ROLE");
}

asio::awaitable<void> call_other_name(Loopback& loop) {
  auto options = loop.channel_options();
  options.server_name = "other.test";
  Channel channel(loop.io.get_executor(), options);
  const auto request = request_of("x");
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
  EXPECT_NE(reply.error().message.find("mismatch"), std::string::npos) << reply.error().message;
  co_await channel.close();
}
TEST_F(LoopbackTest, AServerWithAnotherNameIsRefused) {
  loop.run(call_other_name(loop));
}

}  // namespace
}  // namespace berth::test
