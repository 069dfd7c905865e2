#include "rpc/core/gzip.h"
#include "tests/unit/rpc/session_pair.h"

namespace berth::rpc::core {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;

TEST(Session, AUnaryCallGoesThereAndBack) {
  SessionPair pair;
  const auto id = pair.call(
      {.method = "t.Echo/Say", .timeout = 5s, .metadata = {{"who", "me"}, {"raw-bin", "\x01\xFF"}}});
  pair.client.write(id, "question");
  pair.client.half_close(id);
  ASSERT_TRUE(pair.run());

  ASSERT_TRUE(pair.has(pair.server_events, Kind::kRequest, id));
  const auto head = pair.server.take_request(id);
  EXPECT_EQ(head.method, "t.Echo/Say");
  EXPECT_EQ(head.timeout, 5s);
  EXPECT_EQ(head.metadata.find("who")->second, "me");
  EXPECT_EQ(head.metadata.find("raw-bin")->second, "\x01\xFF");
  EXPECT_EQ(take(pair.server, id).message, "question");
  EXPECT_EQ(take(pair.server, id).next, Next::kEnd);

  pair.server.send_headers(id, {{"first", "1"}});
  pair.server.write(id, "answer");
  pair.server.finish(id, {}, {{"last", "2"}});
  pair.server.release(id);
  ASSERT_TRUE(pair.run());

  EXPECT_EQ(pair.client.initial_metadata(id).find("first")->second, "1");
  EXPECT_EQ(take(pair.client, id).message, "answer");
  EXPECT_EQ(take(pair.client, id).next, Next::kEnd);
  EXPECT_EQ(pair.client.trailing_metadata(id).find("last")->second, "2");
  EXPECT_TRUE(pair.client.status(id));
  pair.client.release(id);
  EXPECT_EQ(pair.client.call_count(), 0U);
  EXPECT_EQ(pair.server.call_count(), 0U);
}

TEST(Session, AnErrorReachesTheClientWithItsDetails) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  const Error error{
      .code = Code::kNotFound, .message = "VPC blå", .reason = "VPC_UNKNOWN", .violations = {{"vpc", "x"}}};
  pair.server.finish(id, std::unexpected(error), {});
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(pair.client.status(id).error(), error);
}

TEST(Session, MessagesBeforeAnErrorAreReadFirst) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  pair.server.write(id, "one");
  pair.server.finish(id, fail(Code::kAborted, "", "later"), {});
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(take(pair.client, id).message, "one");
  EXPECT_EQ(take(pair.client, id).next.error().code, Code::kAborted);
}

TEST(Session, AnUnreadStreamStopsItsSenderAtOneWindow) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  for (int i = 0; i < 1000; ++i) pair.server.write(id, std::string(1000, 'x'));
  ASSERT_TRUE(pair.run());
  const auto sent = 1000 * 1005 - pair.server.unsent(id);
  EXPECT_LE(sent, Limits{}.stream_window_bytes);
  EXPECT_GT(sent, Limits{}.stream_window_bytes / 2);

  int messages = 0;
  while (true) {
    const auto taken = take(pair.client, id);
    if (taken.next == Next::kMessage) ++messages;
    if (taken.next == Next::kNotYet) {
      ASSERT_TRUE(pair.run());
      if (messages == 1000) break;
    }
  }
  EXPECT_EQ(pair.server.unsent(id), 0U);
  EXPECT_TRUE(pair.has(pair.server_events, Kind::kWritable, id));
}

TEST(Session, AStoppedStreamDoesNotStopAnother) {
  SessionPair pair;
  const auto slow = pair.call();
  const auto quick = pair.call();
  ASSERT_TRUE(pair.run());
  pair.server.write(slow, std::string(1 << 20, 'x'));
  pair.server.write(slow, std::string(1 << 20, 'x'));
  ASSERT_TRUE(pair.run());
  pair.server.write(quick, "here");
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(take(pair.client, quick).message, "here");
}

TEST(Session, LargeMessagesShareTheInboundBudgetOneAfterTheOther) {
  Limits limits;
  limits.inbound_bytes = limits.message_bytes;  // room for one
  SessionPair pair(limits);
  std::vector<StreamId> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(pair.call());
    pair.client.write(calls.back(), std::string(4 << 20, 'x'));
    pair.client.half_close(calls.back());
  }
  int complete = 0;
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(pair.run());
    for (const auto id : calls) complete += take(pair.server, id).next == Next::kMessage ? 1 : 0;
    EXPECT_EQ(complete, round + 1);
  }
}

TEST(Session, AMessageOverTheLimitIsRefusedByItsPrefix) {
  SessionPair pair({.message_bytes = 1000});
  const auto id = pair.call();
  pair.client.write(id, std::string(1001, 'x'));
  ASSERT_TRUE(pair.run());
  const auto taken = take(pair.server, id);
  ASSERT_FALSE(taken.next);
  EXPECT_EQ(taken.next.error().code, Code::kResourceExhausted);
  EXPECT_EQ(taken.next.error().reason, "MESSAGE_TOO_LARGE");
}

TEST(Session, AResetCallIsClosedAndItsReaderTold) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  pair.client.release(id);
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.has(pair.server_events, Kind::kClosed, id));
  EXPECT_EQ(take(pair.server, id).next.error().code, Code::kCancelled);
  EXPECT_EQ(pair.server.call_count(), 1U);  // until the handler has ended
  pair.server.release(id);
  EXPECT_EQ(pair.server.call_count(), 0U);
}

TEST(Session, HandlersThatOutliveResetCallsAreCounted) {
  SessionPair pair({.running_calls = 3});
  for (int i = 0; i < 3; ++i) {
    const auto id = pair.call();
    ASSERT_TRUE(pair.run());
    pair.client.release(id);
    ASSERT_TRUE(pair.run());
  }
  const auto refused = pair.call();
  ASSERT_TRUE(pair.run());
  EXPECT_FALSE(pair.has(pair.server_events, Kind::kRequest, refused));
  EXPECT_EQ(pair.client.status(refused).error().code, Code::kUnavailable);
}

TEST(Session, TheClientQueuesCallsOverTheServersStreamLimit) {
  SessionPair pair({.streams = 2});
  ASSERT_TRUE(pair.run());
  std::vector<StreamId> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(pair.call());
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(pair.server.call_count(), 2U);
  for (const auto id : calls) {
    pair.client.half_close(id);
    ASSERT_TRUE(pair.run());
    pair.server.finish(id, {}, {});
    pair.server.release(id);
    ASSERT_TRUE(pair.run());
    EXPECT_TRUE(pair.client.status(id)) << id;
  }
}

TEST(Session, ACallCancelledBeforeItWasSentIsClosed) {
  SessionPair pair({.streams = 1});
  ASSERT_TRUE(pair.run());
  const auto first = pair.call();
  const auto queued = pair.call();
  ASSERT_TRUE(pair.run());
  pair.client.release(queued);
  ASSERT_TRUE(pair.run());
  pair.server.finish(first, {}, {});
  pair.server.release(first);
  ASSERT_TRUE(pair.run());
  pair.client.release(first);
  EXPECT_EQ(pair.client.call_count(), 0U);
}

TEST(Session, ALargeHeaderListIsAnsweredNotStored) {
  SessionPair pair({.header_list_bytes = 2000});
  const auto id = pair.call({.method = "t.Echo/Say", .metadata = {{"big", std::string(3000, 'x')}}});
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.server_events.size() == 1);  // kReady
  EXPECT_EQ(pair.client.status(id).error().code, Code::kResourceExhausted);
}

TEST(Session, AGzipMessageIsInflatedUpToTheLimit) {
  SessionPair pair({.message_bytes = 10'000});
  EXPECT_EQ(gunzip(gzip("hello"), 100).value(), "hello");
  EXPECT_EQ(gunzip(gzip(std::string(101, 'x')), 100).error().code, Code::kResourceExhausted);
  EXPECT_EQ(gunzip("not gzip", 100).error().code, Code::kInternal);
  EXPECT_EQ(gunzip(gzip(std::string(100, 'x')), 100).value().size(), 100U);
}

TEST(Session, ShutdownLetsRunningCallsEndAndTakesNoNewOnes) {
  SessionPair pair;
  const auto running = pair.call();
  ASSERT_TRUE(pair.run());
  pair.server.announce_shutdown();
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.has(pair.client_events, Kind::kGoaway, 0));
  EXPECT_FALSE(pair.client.can_start());
  pair.server.shut_down();
  ASSERT_TRUE(pair.run());
  pair.server.finish(running, {}, {});
  pair.server.release(running);
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.client.status(running));
  EXPECT_TRUE(pair.server.is_over());
}

TEST(Session, LosingTheTransportEndsEveryCall) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  pair.client.abandon({.code = Code::kUnavailable, .message = "connection reset"});
  pair.server.abandon({.code = Code::kCancelled, .message = "connection reset"});
  EXPECT_EQ(pair.client.status(id).error().code, Code::kUnavailable);
  EXPECT_EQ(take(pair.server, id).next.error().code, Code::kCancelled);
  EXPECT_TRUE(pair.has(pair.server.take_events(), Kind::kClosed, id));
}

TEST(Session, WhatCameBeforeTheLossIsStillRead) {
  SessionPair pair;
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  pair.server.write(id, "one");
  ASSERT_TRUE(pair.run());
  pair.client.abandon({.code = Code::kUnavailable, .message = "connection reset"});
  EXPECT_EQ(take(pair.client, id).message, "one");
  EXPECT_EQ(take(pair.client, id).next.error().code, Code::kUnavailable);
}

TEST(Session, GarbageEndsTheConnection) {
  SessionPair pair;
  const auto taken = pair.feed(pair.server, "GET / HTTP/1.1\r\n\r\n");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason, "HTTP2_ERROR");
}

TEST(Session, ResetsFasterThanAllowedEndTheConnection) {
  SessionPair pair({.resets_burst = 20, .resets_per_second = 1});
  int opened = 0;
  Result<void> outcome;
  while (outcome && opened < 100) {
    const auto id = pair.client.start({.method = "t.Echo/Say"});
    if (!id) break;
    ++opened;
    outcome = pair.run();
    pair.client.release(*id);
    if (outcome) outcome = pair.run();
    pair.server.release(*id);
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "RESET_FLOOD");
  EXPECT_EQ(opened, 21);
}

TEST(Session, PingsFasterThanAllowedEndTheConnection) {
  SessionPair pair({.control_burst = 50, .control_per_second = 1});
  Result<void> outcome;
  int pings = 0;
  for (; outcome && pings < 1000; ++pings) {
    pair.client.ping();
    outcome = pair.run();
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "CONTROL_FLOOD");
  EXPECT_LT(pings, 60);
}

}  // namespace
}  // namespace berth::rpc::core
