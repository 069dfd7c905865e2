// Limits of a session at values that are not the defaults. (More of them in session_test.cc.)
#include "tests/unit/rpc/session_pair.h"

namespace berth::rpc::core {
namespace {

using Kind = Event::Kind;

std::string frame(int type, int flags, int stream, const std::string& payload = {}) {
  const auto byte = [](std::size_t value) { return static_cast<char>(value & 255); };
  const auto size = payload.size();
  const auto id = static_cast<std::size_t>(stream);
  return std::string{byte(size >> 16),
                     byte(size >> 8),
                     byte(size),
                     static_cast<char>(type),
                     static_cast<char>(flags),
                     byte(id >> 24),
                     byte(id >> 16),
                     byte(id >> 8),
                     byte(id)} +
         payload;
}
constexpr int kHeaders = 1;
constexpr int kSettings = 4;
constexpr int kPing = 6;
constexpr int kContinuation = 9;
constexpr int kEndHeaders = 4;

// What a server with these limits says to raw frames after a good beginning.
Result<void> receive(const Limits& limits, const std::string& frames) {
  SessionPair pair(limits);
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0);
  EXPECT_TRUE(pair.feed(pair.server, preface));
  return pair.feed(pair.server, frames);
}

// A header block in so many CONTINUATION frames; indexed fields: POST, https, /.
std::string request_in_pieces(int continuations) {
  std::string frames = frame(kHeaders, 0, 1, "\x83\x87\x84");
  for (int i = 1; i <= continuations; ++i) {
    frames += frame(kContinuation, i == continuations ? kEndHeaders : 0, 1);
  }
  return frames;
}

TEST(Limits, AHeaderBlockMayHaveSoManyContinuations) {
  EXPECT_TRUE(receive({.continuations = 9}, request_in_pieces(9)));
  EXPECT_TRUE(receive({.continuations = 2}, request_in_pieces(2)));
  const auto flooded = receive({.continuations = 2}, request_in_pieces(3));
  ASSERT_FALSE(flooded);
  EXPECT_EQ(flooded.error().code, Code::kResourceExhausted);
  EXPECT_EQ(flooded.error().reason, "CONTINUATION_FLOOD");
}

TEST(Limits, SoManyAnswersMayStayUnsent) {
  std::string pings;
  for (int i = 0; i < 20; ++i) pings += frame(kPing, 0, 0, "01234567");
  EXPECT_TRUE(receive({.unsent_answers = 30}, pings));
  const auto flooded = receive({.unsent_answers = 10}, pings);
  ASSERT_FALSE(flooded);
  EXPECT_EQ(flooded.error().reason, "CONTROL_FLOOD");
}

// Message bytes that a server sends to a client that reads nothing, on so many streams.
std::size_t sent_unread(const Limits& client_limits, int streams) {
  SessionPair pair({}, client_limits);
  std::vector<StreamId> calls;
  for (int i = 0; i < streams; ++i) calls.push_back(pair.call());
  EXPECT_TRUE(pair.run());
  std::size_t written = 0;
  for (const auto id : calls) {
    for (int i = 0; i < 300; ++i) pair.server.write(id, std::string(995, 'x'));
    written += 300 * 1000;
  }
  std::string lost;  // on the way: the client never sees it
  EXPECT_TRUE(pair.server.collect(lost, 1 << 22));
  return written - pair.server.unsent();
}

TEST(Limits, AStreamSendsNoMoreThanItsWindow) {
  EXPECT_EQ(sent_unread({.stream_window_bytes = 10'000}, 1), 10'000U);
  EXPECT_EQ(sent_unread({.stream_window_bytes = 100'000}, 1), 100'000U);
}

TEST(Limits, AllStreamsTogetherSendNoMoreThanTheConnectionsWindow) {
  const Limits wide{.stream_window_bytes = 100'000, .connection_window_bytes = 1'000'000};
  const Limits narrow{.stream_window_bytes = 100'000, .connection_window_bytes = 70'000};
  EXPECT_EQ(sent_unread(wide, 3), 300'000U);
  EXPECT_EQ(sent_unread(narrow, 3), 70'000U);
}

TEST(Limits, CreditOfManySmallMessagesComesBackTogether) {
  SessionPair pair({}, {.stream_window_bytes = 10'000});
  const auto id = pair.call();
  ASSERT_TRUE(pair.run());
  for (int i = 0; i < 100; ++i) pair.server.write(id, std::string(95, 'x'));
  ASSERT_TRUE(pair.run());
  EXPECT_EQ(pair.server.unsent(id), 0U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(take(pair.client, id).next, Next::kMessage);
  ASSERT_TRUE(pair.run());
  for (int i = 0; i < 200; ++i) pair.server.write(id, std::string(95, 'x'));
  ASSERT_TRUE(pair.run());
  EXPECT_LE(pair.server.unsent(id), 20'000U - 5'000U);  // nghttp2 announces credit by half windows
}

TEST(Limits, ARefusedCallIsToldApartFromAFailedOne) {
  SessionPair pair({.running_calls = 1});
  const auto running = pair.call();
  ASSERT_TRUE(pair.run());
  const auto refused = pair.call();
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.client.was_refused(refused));
  EXPECT_EQ(pair.client.status(refused).error().reason, "STREAM_REFUSED");
  pair.server.reset(running, 8);
  ASSERT_TRUE(pair.run());
  EXPECT_FALSE(pair.client.was_refused(running));
}

TEST(Limits, ACallBeyondTheLastOfAGoawayWasRefused) {
  SessionPair pair;
  ASSERT_TRUE(pair.run());
  pair.server.shut_down();  // while the request is on its way
  const auto late = pair.call();
  std::string up;
  std::string down;
  ASSERT_TRUE(pair.client.collect(up, 1 << 20));
  ASSERT_TRUE(pair.server.collect(down, 1 << 20));
  ASSERT_TRUE(pair.feed(pair.client, down));
  EXPECT_TRUE(pair.client.was_refused(late));
}

TEST(Limits, ACallStillQueuedWhenTheGoawayComesWasRefused) {
  SessionPair pair;
  ASSERT_TRUE(pair.run());
  const auto queued = pair.call();
  pair.server.announce_shutdown();
  std::string down;
  ASSERT_TRUE(pair.server.collect(down, 1 << 20));
  ASSERT_TRUE(pair.feed(pair.client, down));
  ASSERT_TRUE(pair.run());
  EXPECT_TRUE(pair.client.was_refused(queued));
}

}  // namespace
}  // namespace berth::rpc::core
