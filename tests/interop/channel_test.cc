// The channel as a client that has to live with its servers: several endpoints, back-off, refusals.
#include "rpc/net/link.h"
#include "rpc/net/tls_engine.h"
#include "tests/fakes/test_folder.h"
#include "tests/interop/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>

namespace berth::test {
namespace {

using rpc::Channel;

// Listens, and never accepts.
class SilentListener {
 public:
  explicit SilentListener(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* where = reinterpret_cast<sockaddr*>(&address_);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(::bind(fd_, where, size), 0);
    EXPECT_EQ(::listen(fd_, backlog), 0);
    EXPECT_EQ(::getsockname(fd_, where, &size), 0);
  }
  ~SilentListener() { ::close(fd_); }
  SilentListener(const SilentListener&) = delete;
  SilentListener& operator=(const SilentListener&) = delete;

  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  int fd_;
  sockaddr_in address_{};
};

TEST(Channel, TriesItsEndpointsInOrder) {
  Loopback loop;
  loop.serve();
  auto options = loop.channel_options();
  options.endpoints.insert(options.endpoints.begin(), {"127.0.0.1:1", "unix:/no/such/socket"});
  EXPECT_TRUE(call_once(loop, options));
}

TEST(Channel, TellsWhyItCannotConnect) {
  Loopback loop;
  auto options = loop.channel_options();
  options.endpoints = {"127.0.0.1:1"};
  const auto outcome = call_once(loop, options);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
  EXPECT_EQ(outcome.error().reason, "CONNECT_FAILED");
  EXPECT_NE(outcome.error().message.find("127.0.0.1:1"), std::string::npos);
}

TEST(Channel, ACallMayWaitForTheServerToCome) {
  Loopback loop;
  auto options = loop.channel_options();
  options.backoff_first = 10ms;
  const testing::TestFolder folder("late");
  const auto path = folder / "rpc.sock";
  Loopback late({}, "unix:" + path.string());
  options.endpoints = {"unix:" + path.string()};
  std::optional<Result<std::string>> outcome;
  Channel channel(late.io.get_executor(), options);
  const auto wait = [](Channel& on, std::optional<Result<std::string>>& result) -> asio::awaitable<void> {
    result = co_await say(on, {.timeout = 20s, .when_down = rpc::WhenDown::kWait});
  };
  asio::co_spawn(late.io, wait(channel, outcome), [](const std::exception_ptr&) {});
  EXPECT_FALSE(late.run_until([&] { return outcome.has_value(); }, 100ms));
  late.serve();
  ASSERT_TRUE(late.run_until([&] { return outcome.has_value(); }));
  EXPECT_TRUE(*outcome) << outcome->error().message;
  const auto close = [](Channel& on) -> asio::awaitable<void> { co_await on.close(); };
  late.run(close(channel));
}

TEST(Channel, AWaitingCallEndsAtItsDeadline) {
  Loopback loop;
  auto options = loop.channel_options();
  options.endpoints = {"127.0.0.1:1"};
  const auto outcome = call_once(loop, options, {.timeout = 50ms, .when_down = rpc::WhenDown::kWait});
  EXPECT_EQ(outcome.error().code, Code::kDeadlineExceeded);
}

TEST(Channel, AMuteServerIsGivenUp) {
  asio::io_context io;
  Loopback loop;
  const SilentListener listener(5);
  auto options = loop.channel_options();
  options.endpoints = {listener.endpoint()};
  options.limits.handshake = 100ms;
  const auto outcome = call_once(loop, options);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
  EXPECT_EQ(outcome.error().reason, "HANDSHAKE_TIMEOUT");
}

// A server that refuses its first calls and answers the others with an empty message.
class RefusingServer : public rpc::net::LinkOwner {
 public:
  RefusingServer(asio::io_context& io, int refusals)
      : io_(io),
        listener_(io, {asio::ip::address_v4::loopback(), 0}),
        deadlines_(io.get_executor()),
        refusals_(refusals) {
    tls_ = *rpc::net::TlsContext::load(tls_of("server"), rpc::core::Role::kServer);
  }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(listener_.local_endpoint().port()); }
  asio::awaitable<void> serve_one() {
    auto socket = co_await listener_.async_accept(asio::use_awaitable);
    socket.non_blocking(true);
    link_ = std::make_shared<rpc::net::Link>(
        rpc::net::Link::Parts{.executor = io_.get_executor(),
                              .socket = rpc::net::Fd(socket.release()),
                              .engine = std::make_unique<rpc::net::TlsEngine>(tls_, ""),
                              .role = rpc::core::Role::kServer,
                              .limits = limits_,
                              .deadlines = deadlines_},
        *this);
    co_await link_->run();
  }
  int requests() const { return requests_; }

 private:
  void on_secure(rpc::Peer) override {}
  void on_over(const Error&) override {}
  void on_event(const rpc::core::Event& event) override {
    if (event.kind != rpc::core::Event::Kind::kRequest) return;
    ++requests_;
    auto& session = link_->session();
    if (refusals_-- > 0) {
      constexpr std::uint32_t kRefusedStream = 7;
      session.reset(event.stream, kRefusedStream);
    } else {
      session.write(event.stream, "");
      session.finish(event.stream, {}, {});
    }
    session.release(event.stream);
  }

  asio::io_context& io_;
  asio::ip::tcp::acceptor listener_;
  rpc::Limits limits_;
  rpc::Deadlines deadlines_;
  std::shared_ptr<const rpc::net::TlsContext> tls_;
  std::shared_ptr<rpc::net::Link> link_;
  int refusals_;
  int requests_ = 0;
};

asio::awaitable<void> call_all_kinds(Channel& channel, Code unary, Code reader, Code writer) {
  const auto code_of = [](const Result<void>& outcome) { return outcome ? Code() : outcome.error().code; };
  const EchoRequest request;
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
  EXPECT_EQ(reply ? Code() : reply.error().code, unary);
  const auto replies = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
  const auto first_headers = co_await replies->initial_metadata();
  EXPECT_TRUE(first_headers);
  EXPECT_EQ(code_of(co_await replies->finish()), reader);
  const auto chat = co_await channel.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat");
  chat->writes_done();
  EXPECT_EQ(code_of(co_await chat->finish()), writer);
  co_await channel.close();
}

TEST(Channel, ARefusedCallStartsAgainOnce) {
  Loopback loop;
  RefusingServer server(loop.io, 1);
  asio::co_spawn(loop.io, server.serve_one(), [](const std::exception_ptr&) {});
  auto options = loop.channel_options();
  options.endpoints = {server.endpoint()};
  EXPECT_TRUE(call_once(loop, options));
  EXPECT_EQ(server.requests(), 2);
}

TEST(Channel, ACallRefusedTwiceFails) {
  Loopback loop;
  RefusingServer server(loop.io, 1000);
  asio::co_spawn(loop.io, server.serve_one(), [](const std::exception_ptr&) {});
  auto options = loop.channel_options();
  options.endpoints = {server.endpoint()};
  const auto outcome = call_once(loop, options);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
  EXPECT_EQ(outcome.error().reason, "STREAM_REFUSED");
  EXPECT_EQ(server.requests(), 2);
}

TEST(Channel, OnlyCallsWithOneRequestStartAgain) {
  for (const int refusals : {0, 1000}) {
    Loopback loop;
    RefusingServer server(loop.io, refusals);
    asio::co_spawn(loop.io, server.serve_one(), [](const std::exception_ptr&) {});
    auto options = loop.channel_options();
    options.endpoints = {server.endpoint()};
    Channel channel(loop.io.get_executor(), options);
    const Code expected = refusals == 0 ? Code() : Code::kUnavailable;
    loop.run(call_all_kinds(channel, expected, expected, expected));
    EXPECT_EQ(server.requests(), refusals == 0 ? 3 : 5);
  }
}

TEST(Channel, GoesToTheNextEndpointWhenItsServerHasGone) {
  Loopback second;
  Loopback first;
  first.serve();
  second.serve();
  auto options = first.channel_options();
  options.endpoints.push_back(second.endpoint());
  EXPECT_TRUE(call_once(first, options));
  first.stop_server();
  EXPECT_TRUE(call_once(second, options));
  EXPECT_EQ(second.counts.started, 1);
}

// A listener that hangs up on whoever comes.
class Rude {
 public:
  explicit Rude(asio::io_context& io) : listener_(io, {asio::ip::address_v4::loopback(), 0}) {}
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(listener_.local_endpoint().port()); }
  asio::awaitable<void> run() {
    while (true) {
      (void)co_await listener_.async_accept(asio::use_awaitable);
      ++visits;
    }
  }
  int visits = 0;

 private:
  asio::ip::tcp::acceptor listener_;
};

int visits_within(std::chrono::milliseconds time, std::chrono::milliseconds first,
                  std::chrono::milliseconds longest) {
  Loopback loop;
  Rude rude(loop.io);
  asio::co_spawn(loop.io, rude.run(), [](const std::exception_ptr&) {});
  auto options = loop.channel_options();
  options.endpoints = {rude.endpoint()};
  options.backoff_first = first;
  options.backoff_max = longest;
  const auto outcome = call_once(loop, options, {.timeout = time, .when_down = rpc::WhenDown::kWait});
  EXPECT_EQ(outcome.error().code, Code::kDeadlineExceeded);
  return rude.visits;
}

TEST(Channel, BacksOffBetweenAttempts) {
  // 20, 40, 80, 160, 320 ms, each a fifth more or less.
  const int doubling = visits_within(400ms, 20ms, 1000ms);
  EXPECT_GE(doubling, 3);
  EXPECT_LE(doubling, 6);
  EXPECT_GE(visits_within(400ms, 20ms, 20ms), doubling);
  EXPECT_LE(visits_within(400ms, 20ms, 20ms), 400 / 16 + 1);
  EXPECT_EQ(visits_within(200ms, 1000ms, 1000ms), 1);
}

TEST(Channel, AnAddressThatDoesNotAnswerIsGivenUp) {
  Loopback loop;
  const SilentListener listener(0);
  std::vector<int> waiting;  // fill the backlog: the kernel drops what comes after
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)::connect(waiting.back(), listener.address(), sizeof(sockaddr_in));
  }
  auto options = loop.channel_options();
  options.endpoints = {listener.endpoint()};
  options.connect_timeout = 100ms;
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = call_once(loop, options);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable);
  EXPECT_EQ(outcome.error().reason, "CONNECT_TIMEOUT");
  for (const int fd : waiting) ::close(fd);
}

}  // namespace
}  // namespace berth::test
