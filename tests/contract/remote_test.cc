// The rule holder's client and service: the contract, over a unix socket, and what is theirs alone.
#include "berth/eswitch/v1/eswitch.pb.h"
#include "dataplane/remote/convert.h"
#include "tests/contract/eswitch_contract.h"
#include "tests/contract/remote_backend.h"
#include "tests/fakes/fake_eswitch.h"
#include "tests/fakes/whole_host.h"

#include <chrono>
#include <list>
#include <sys/stat.h>

namespace berth::testing {
namespace {

using namespace dataplane;
using remote::v1::ApplyReply;
using remote::v1::ApplyRequest;
using remote::v1::HelloReply;
using remote::v1::HelloRequest;

struct RemoteFake {
  static RemoteBackend& backend() {
    (void)loop();
    static FakeEswitch fake(2);
    return SharedRemote::instance(loop(), fake, "contract");
  }
  static Eswitch& eswitch() { return backend().client; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(RemoteFake, EswitchContract, RemoteFake);

class Remote : public ::testing::Test {
 protected:
  void TearDown() override {
    calls.clear();
    for (rpc::Channel& channel : channels) run_until_done(io, RemoteBackend::close(channel));
  }
  template <typename T>
  T run(asio::awaitable<T> task) {
    return run_until_done(io, std::move(task));
  }
  rpc::Channel& stranger(std::uint32_t uid = ::getuid()) {
    rpc::ChannelOptions options{.endpoints = {"unix:" + backend.socket()}, .only_uid = uid};
    return channels.emplace_back(io.get_executor(), std::move(options));
  }
  Result<std::optional<HelloReply>> hello(rpc::Channel& channel, std::uint32_t protocol) {
    HelloRequest request;
    request.set_protocol(protocol);
    return run(begin_hello(channel, request));
  }
  Task<std::optional<HelloReply>> begin_hello(rpc::Channel& channel, HelloRequest request) {
    const auto call =
        co_await channel.server_stream<HelloReply>("berth.eswitch.v1.RuleHolder/Hello", request);
    if (!call) co_return pass(call);
    calls.push_back(*call);
    co_return co_await call->read();
  }
  static Task<std::optional<ApplyReply>> apply_raw(rpc::Channel& channel, ApplyRequest request) {
    const auto stream = co_await channel.bidi<ApplyRequest, ApplyReply>("berth.eswitch.v1.RuleHolder/Apply");
    if (!stream) co_return pass(stream);
    (void)co_await stream->write(request);
    co_return co_await stream->read();
  }
  static std::vector<RuleChange> additions(const std::vector<Rule>& rules) {
    std::vector<RuleChange> changes;
    for (const Rule& rule : rules) changes.emplace_back(AddRule{rule});
    return changes;
  }
  static std::vector<Rule> drops(std::size_t count) {
    std::vector<Rule> rules;
    for (std::uint32_t i = 0; i < count; ++i) {
      rules.push_back({.key = {5, 1, {.ip = IpFamily::kV4, .ip_dst = IpPrefix::host(IpAddress::v4(i))}},
                       .purpose = Purpose::kMapping,
                       .owner = EswitchPort::uplink()});
    }
    return rules;
  }

  asio::io_context io;
  FakeEswitch fake{2};
  RemoteBackend backend{io, fake, "remote"};
  std::list<rpc::Channel> channels;
  std::vector<rpc::ClientReader<HelloReply>> calls;
};

TEST_F(Remote, EveryRuleOfAWholeHostComesBackAsItWent) {
  const auto rules = whole_host(make_vpc_with_policy());
  for (const auto& outcome : run(backend.client.apply(additions(rules))).value()) EXPECT_TRUE(outcome);
  ASSERT_EQ(fake.rules.size(), rules.size());
  for (const Rule& rule : rules) EXPECT_EQ(fake.rules.at(rule.key), rule);
  const auto held = run(backend.client.read_rules(std::nullopt)).value();
  ASSERT_EQ(held.size(), rules.size());
  for (const HeldRule& one : held) EXPECT_EQ(one.rule, fake.rules.at(one.rule.key));
}

TEST_F(Remote, LargeChangesGoInBatchesWithOneOutcomeForEachRule) {
  const auto rules = drops(10000);
  fake.refuse_add = [&](const Rule& rule) -> Result<void> {
    if (rule == rules[5000] || rule == rules[9999])
      return fail(Code::kHardwareRejected, "RULE_REFUSED", "no");
    return {};
  };
  const auto outcomes = run(backend.client.apply(additions(rules))).value();
  ASSERT_EQ(outcomes.size(), rules.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) EXPECT_EQ(!outcomes[i], i == 5000 || i == 9999) << i;
  EXPECT_EQ(outcomes[5000].error().code, Code::kHardwareRejected);
  EXPECT_EQ(outcomes[5000].error().reason, "RULE_REFUSED");
  EXPECT_EQ(fake.rules.size(), 9998U);
}

// Replies of a size that the client must take before the holder reads on.
TEST_F(Remote, AHostThatRefusesEverythingIsHeard) {
  fake.capacity = 0;
  const auto outcomes = run(backend.client.apply(additions(drops(20000)))).value();
  ASSERT_EQ(outcomes.size(), 20000U);
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.error().reason, "ESWITCH_FULL");
}

TEST_F(Remote, ABatchOverTheLimitIsRefusedAsAWhole) {
  auto& channel = stranger();
  const auto session = hello(channel, remote::kProtocol).value()->session();
  ApplyRequest request;
  request.set_session(session);
  for (const RuleChange& change : additions(drops(remote::kMaxBatch + 1)))
    remote::write_change(change, *request.add_changes());
  const auto reply = run(apply_raw(channel, request));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().reason, "BATCH_TOO_LARGE");
  EXPECT_TRUE(fake.rules.empty());
}

TEST_F(Remote, AnotherProtocolIsRefusedByName) {
  const auto reply = hello(stranger(), remote::kProtocol + 1);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(reply.error().reason, "PROTOCOL_MISMATCH");
}

TEST_F(Remote, WhoeverSaysHelloLastIsTheOneThatChangesRules) {
  const auto session = hello(stranger(), remote::kProtocol);
  ASSERT_TRUE(session);
  backend.wait_until([this] { return !backend.client.has_session(); });
  EXPECT_EQ(backend.client.why_away().reason, "SESSION_REPLACED");
  const auto refused = run(backend.client.apply(additions(drops(1))));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ESWITCH_AWAY");
  EXPECT_TRUE(fake.rules.empty());
}

TEST_F(Remote, CallsFailAtOnceWhileTheHolderIsAway) {
  backend.stop_holder();
  backend.wait_until([this] { return !backend.client.has_session(); });
  const auto begun = std::chrono::steady_clock::now();
  const auto applied = run(backend.client.apply(additions(drops(1))));
  const auto read = run(backend.client.read_rules(std::nullopt));
  const auto set = run(backend.client.set_answers(EswitchPort::function(0), std::nullopt));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(50));
  EXPECT_EQ(applied.error().code, Code::kUnavailable);
  EXPECT_EQ(applied.error().reason, "ESWITCH_AWAY");
  EXPECT_EQ(read.error().reason, "ESWITCH_AWAY");
  EXPECT_EQ(set.error().reason, "ESWITCH_AWAY");
}

// As a holder of an earlier version answers what it does not know.
TEST_F(Remote, AHolderThatCannotInjectIsHeard) {
  fake.cannot_inject = true;
  const auto refused = run(backend.client.inject({}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnimplemented);
  EXPECT_EQ(refused.error().reason, "PROBE_NOT_SUPPORTED");
}

TEST_F(Remote, AHolderThatComesBackIsANewEpochAndSaysWhetherItStartedAnew) {
  const auto epoch = backend.client.epoch();
  EXPECT_EQ(backend.client.instance(), 1000U);
  backend.stop_holder();
  backend.wait_until([this] { return !backend.client.has_session(); });
  backend.start_holder(2000);
  backend.wait_for_session();
  EXPECT_NE(backend.client.epoch(), epoch);
  EXPECT_EQ(backend.client.instance(), 2000U);
  EXPECT_TRUE(run(backend.client.apply(additions(drops(1)))).value().front());
}

TEST_F(Remote, TheSocketIsForItsOwnerOnly) {
  struct stat file{};
  ASSERT_EQ(::stat(backend.socket().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
}

TEST_F(Remote, AHolderOfAnotherUserIsNotSpokenTo) {
  const auto reply = hello(stranger(::getuid() + 1), remote::kProtocol);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kPermissionDenied);
  EXPECT_EQ(reply.error().reason, "WRONG_USER");
}

// The kernel's credentials, whatever the file's mode allows: root may open any socket.
TEST_F(Remote, AClientOfAnotherUserIsHungUpOn) {
  const std::string path = backend.socket() + ".other";
  rpc::Server server(io.get_executor(), {.listen = "unix:" + path, .only_uid = ::getuid() + 1});
  remote::EswitchService service(io.get_executor(), fake, 1);
  service.add_to(server);
  ASSERT_TRUE(server.listen());
  TaskGroup tasks(io.get_executor());
  tasks.spawn("server", server.run());
  rpc::ChannelOptions options{.endpoints = {"unix:" + path}, .only_uid = ::getuid()};
  const auto reply = hello(channels.emplace_back(io.get_executor(), std::move(options)), remote::kProtocol);
  EXPECT_EQ(reply ? "spoken with" : reply.error().reason, "CONNECTION_LOST");
  run_until_done(io, RemoteBackend::end(tasks));
}

TEST_F(Remote, WithoutTlsOnlyUnixSocketsAreServedAndReached) {
  rpc::Server server(io.get_executor(), {.listen = "127.0.0.1:0", .only_uid = ::getuid()});
  EXPECT_EQ(server.listen().error().reason, "BAD_ADDRESS");
  rpc::ChannelOptions options{.endpoints = {"127.0.0.1:1"}, .only_uid = ::getuid()};
  EXPECT_FALSE(hello(channels.emplace_back(io.get_executor(), std::move(options)), remote::kProtocol));
}

TEST(RemoteConvert, MalformedRulesAreRefusedNamingTheField) {
  remote::v1::Change change;
  EXPECT_EQ(remote::read_change(change).error().reason, "MALFORMED_RULE");
  change.mutable_remove()->mutable_match()->set_ip_dst("12345678");
  EXPECT_NE(remote::read_change(change).error().message.find("ip_dst"), std::string::npos);
  change.mutable_remove()->mutable_match()->set_ip_dst(std::string("\x0A\x01\x00\x05\x18", 5));
  EXPECT_FALSE(remote::read_change(change)) << "bits below the mask";
  change.mutable_remove()->mutable_match()->set_ip_dst(std::string("\x0A\x01\x00\x00\x18", 5));
  EXPECT_TRUE(remote::read_change(change));
  change.mutable_remove()->set_group(70000);
  EXPECT_NE(remote::read_change(change).error().message.find("group"), std::string::npos);
  change.mutable_add()->mutable_actions()->set_set_eth_dst("12345");
  EXPECT_NE(remote::read_change(change).error().message.find("set_eth_dst"), std::string::npos);
}

}  // namespace
}  // namespace berth::testing
