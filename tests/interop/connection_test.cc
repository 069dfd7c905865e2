// What happens to connections rather than calls: deadlines, limits, certificates, reconnecting.
#include "tests/fakes/test_folder.h"
#include "tests/interop/loopback.h"

#include <arpa/inet.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::test {
namespace {

using rpc::Channel;
namespace fs = std::filesystem;

// A TCP connection that says nothing.
class MutePeer {
 public:
  explicit MutePeer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~MutePeer() { ::close(fd_); }
  bool is_closed() const {
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  int fd_;
};

TEST(Connection, ASilentStrangerIsDroppedAtTheHandshakeDeadline) {
  Loopback loop({.handshake = 100ms});
  loop.serve();
  const MutePeer stranger(loop.server.port());
  EXPECT_TRUE(loop.run_until([&] { return stranger.is_closed(); }));
}

TEST(Connection, ConnectionsOverTheLimitAreClosed) {
  Loopback loop({.connections = 2});
  loop.serve();
  const MutePeer first(loop.server.port());
  const MutePeer second(loop.server.port());
  const MutePeer third(loop.server.port());
  EXPECT_TRUE(loop.run_until([&] { return third.is_closed(); }));
  EXPECT_FALSE(first.is_closed());
  EXPECT_FALSE(second.is_closed());
}

TEST(Connection, AnIdleConnectionIsClosedAndComesBackWithTheNextCall) {
  Loopback loop({.idle = 50ms});
  loop.serve();
  const auto test = [](Loopback& on) -> asio::awaitable<void> {
    Channel channel(on.io.get_executor(), on.channel_options());
    for (int i = 0; i < 3; ++i) {
      const auto reply = co_await say(channel);
      EXPECT_TRUE(reply) << reply.error().message;
      const auto waited = co_await sleep_for(120ms);
      EXPECT_TRUE(waited);
    }
    co_await channel.close();
  };
  loop.run(test(loop));
}

TEST(Connection, AnOldConnectionIsReplacedWithoutLosingACall) {
  Loopback loop({.connection_age = 50ms});
  loop.serve();
  const auto test = [](Loopback& on) -> asio::awaitable<void> {
    Channel channel(on.io.get_executor(), on.channel_options());
    const auto begun = std::chrono::steady_clock::now();
    int failures = 0;
    while (std::chrono::steady_clock::now() - begun < 400ms) {
      const auto reply = co_await say(channel);
      if (!reply) ++failures;
    }
    EXPECT_EQ(failures, 0);
    co_await channel.close();
  };
  loop.run(test(loop));
}

TEST(Connection, TheCallAgeOfTheServerIsADeadline) {
  Loopback loop({.call_age = 50ms});
  loop.serve();
  const auto test = [](Loopback& on) -> asio::awaitable<void> {
    Channel channel(on.io.get_executor(), on.channel_options());
    EchoRequest request;
    request.set_count(60'000);
    const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request);
    EXPECT_EQ(reply.error().code, Code::kDeadlineExceeded);
    co_await channel.close();
  };
  loop.run(test(loop));
}

TEST(Connection, ADeadlineFreesTheStreamOfAClientThatDoesNotRead) {
  Loopback loop({.streams = 1, .call_age = 50ms});
  loop.serve();
  const auto test = [](Loopback& on) -> asio::awaitable<void> {
    Channel channel(on.io.get_executor(), on.channel_options());
    EchoRequest request;
    request.set_count(100'000);
    request.set_reply_bytes(1000);
    const auto unread = co_await channel.server_stream<EchoReply>("berth.test.Echo/Count", request);
    EXPECT_TRUE(unread);
    const auto reply = co_await say(channel, {.timeout = 10s});
    EXPECT_TRUE(reply) << reply.error().message;
    co_await channel.close();
  };
  loop.run(test(loop));
}

TEST(Connection, ADrainIsBounded) {
  Loopback loop({.drain = 100ms});
  loop.serve();
  Channel channel(loop.io.get_executor(), loop.channel_options());
  std::optional<Result<EchoReply>> outcome;
  const auto wait_long = [](Channel& on, std::optional<Result<EchoReply>>& result) -> asio::awaitable<void> {
    EchoRequest request;
    request.set_count(60'000);
    result = co_await on.unary<EchoReply>("berth.test.Echo/Say", request);
  };
  asio::co_spawn(loop.io, wait_long(channel, outcome), [](const std::exception_ptr&) {});
  ASSERT_TRUE(loop.run_until([&] { return loop.counts.started == 1; }));
  loop.stop_server();
  EXPECT_EQ(loop.counts.cancelled, 1);
  ASSERT_TRUE(loop.run_until([&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->error().code, Code::kUnavailable);
  const auto close = [](Channel& on) -> asio::awaitable<void> { co_await on.close(); };
  loop.run(close(channel));
}

TEST(Connection, UnixSocketsAndIpv6Serve) {
  const testing::TestFolder folder("unix");
  const auto path = folder / "rpc.sock";
  for (const std::string& listen : {"unix:" + path.string(), std::string("[::1]:0")}) {
    Loopback loop({}, listen);
    loop.serve();
    const auto outcome = call_once(loop, loop.channel_options());
    EXPECT_TRUE(outcome) << listen << ": " << outcome.error().message;
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(Connection, NamesAreResolved) {
  Loopback loop;
  loop.serve();
  auto options = loop.channel_options();
  options.endpoints = {"localhost:" + std::to_string(loop.server.port())};
  options.server_name.clear();
  EXPECT_TRUE(call_once(loop, options));
}

// A folder with a copy of the server's files, to be changed while it runs.
struct MovableFiles {
  MovableFiles() {
    put("server");
    fs::copy_file(certificates() / "ca.crt", files.trusted_ca, fs::copy_options::overwrite_existing);
  }
  void put(const std::string& name) {
    fs::copy_file(certificates() / (name + ".crt"), files.certificate, fs::copy_options::overwrite_existing);
    fs::copy_file(certificates() / (name + ".key"), files.private_key, fs::copy_options::overwrite_existing);
  }
  const testing::TestFolder folder{"tls"};
  rpc::TlsFiles files{
      .certificate = folder / "tls.crt", .private_key = folder / "tls.key", .trusted_ca = folder / "ca.crt"};
};

TEST(Certificates, ABadSetIsNamedAtTheStart) {
  auto files = tls_of("server");
  files.private_key = tls_of("client").private_key;
  Loopback mismatched({}, "127.0.0.1:0", files);
  const auto bound = mismatched.server.listen();
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().reason, "BAD_CERTIFICATE");
  EXPECT_NE(bound.error().message.find("client.key"), std::string::npos);

  files = tls_of("nobody");
  Loopback missing({}, "127.0.0.1:0", files);
  EXPECT_EQ(missing.server.listen().error().reason, "BAD_CERTIFICATE");
}

asio::awaitable<void> stream_across_reloads(Loopback& loop, MovableFiles& files) {
  Channel channel(loop.io.get_executor(), loop.channel_options());
  const auto stream = co_await channel.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat");
  EXPECT_TRUE(stream);
  for (int i = 0; i < 30; ++i) {
    EchoRequest request;
    const auto written = co_await stream->write(request);
    EXPECT_TRUE(written);
    const auto reply = co_await stream->read();
    EXPECT_TRUE(reply && *reply);
    if (i == 10) {
      files.put("server2");
      EXPECT_TRUE(loop.server.reload_tls());
    }
    if (i == 20) {  // a half-written pair: the key of another certificate
      fs::copy_file(certificates() / "client.key", files.files.private_key,
                    fs::copy_options::overwrite_existing);
      EXPECT_FALSE(loop.server.reload_tls());
    }
  }
  stream->writes_done();
  const auto status = co_await stream->finish();
  EXPECT_TRUE(status);
  co_await channel.close();
}
TEST(Certificates, AReloadLosesNoStreamAndKeepsTheLastGoodPair) {
  MovableFiles files;
  Loopback loop({}, "127.0.0.1:0", files.files);
  loop.serve();
  loop.run(stream_across_reloads(loop, files));
  EXPECT_TRUE(call_once(loop, loop.channel_options()));
}

TEST(Certificates, ThoseThatFailInTheHandshakeAreNamed) {
  Loopback loop;
  std::vector<std::string> refused;
  loop.server.set_refused([&](const std::string& address, const Error& why) {
    EXPECT_TRUE(address.starts_with("127.0.0.1:")) << address;
    EXPECT_EQ(why.reason, "TLS_HANDSHAKE");
    refused.push_back(why.message);
  });
  loop.serve();
  EXPECT_TRUE(call_once(loop, loop.channel_options("client")));
  EXPECT_TRUE(refused.empty());
  EXPECT_FALSE(call_once(loop, loop.channel_options("rogue")));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_NE(refused[0].find("certificate verify failed"), std::string::npos) << refused[0];
  EXPECT_FALSE(call_once(loop, loop.channel_options("wrong-usage")));
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_NE(refused[1].find("purpose"), std::string::npos) << refused[1];
}

TEST(Certificates, ARevokedClientIsRefused) {
  auto files = tls_of("server");
  Loopback trusting({}, "127.0.0.1:0", files);
  trusting.serve();
  EXPECT_TRUE(call_once(trusting, trusting.channel_options("revoked")));

  files.crl = certificates() / "crl.pem";
  Loopback checking({}, "127.0.0.1:0", files);
  checking.serve();
  EXPECT_EQ(call_once(checking, checking.channel_options("revoked")).error().code, Code::kUnavailable);
  EXPECT_TRUE(call_once(checking, checking.channel_options("client")));
}

}  // namespace
}  // namespace berth::test
