// Our channel drives a real etcd (Debian etcd-server, grpc-go inside) over mutual TLS: KV, Txn, Lease,
// Watch.
#include "tests/fakes/test_folder.h"
#include "tests/interop/etcd.pb.h"
#include "tests/interop/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::test {
namespace {

namespace etcd = etcdserverpb;
using rpc::Channel;

constexpr const char* kEtcd = "/usr/bin/etcd";

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

class EtcdProcess {
 public:
  EtcdProcess() {
    const auto certs = certificates().string();
    const auto client = "https://127.0.0.1:" + std::to_string(port);
    const auto peer = "http://127.0.0.1:" + std::to_string(free_port());
    const std::vector<std::string> arguments = {kEtcd,
                                                "--data-dir",
                                                folder_.path().string(),
                                                "--log-level",
                                                "error",
                                                "--listen-client-urls",
                                                client,
                                                "--advertise-client-urls",
                                                client,
                                                "--listen-peer-urls",
                                                peer,
                                                "--initial-advertise-peer-urls",
                                                peer,
                                                "--initial-cluster",
                                                "default=" + peer,
                                                "--cert-file",
                                                certs + "/server.crt",
                                                "--key-file",
                                                certs + "/server.key",
                                                "--client-cert-auth",
                                                "--trusted-ca-file",
                                                certs + "/ca.crt"};
    std::vector<char*> raw;
    for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int nowhere = ::open("/dev/null", O_RDWR);
      ::dup2(nowhere, STDOUT_FILENO);
      ::dup2(nowhere, STDERR_FILENO);
      ::execv(kEtcd, raw.data());
      ::_exit(127);
    }
  }
  ~EtcdProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  const std::uint16_t port = free_port();

 private:
  testing::TestFolder folder_{"etcd"};
  pid_t pid_;
};

rpc::CallOptions patient() {
  return {.timeout = 20s, .when_down = rpc::WhenDown::kWait};
}

Result<void> outcome_of(const auto& reply) {
  return reply ? Result<void>() : std::unexpected(reply.error());
}

Task<void> put(Channel& channel, std::string key, std::string value, std::int64_t lease = 0) {
  etcd::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  const auto reply = co_await channel.unary<etcd::PutResponse>("etcdserverpb.KV/Put", request, patient());
  co_return outcome_of(reply);
}

Task<std::string> get(Channel& channel, std::string key) {
  etcd::RangeRequest request;
  request.set_key(key);
  const auto reply = co_await channel.unary<etcd::RangeResponse>("etcdserverpb.KV/Range", request, patient());
  if (!reply) co_return pass(reply);
  if (reply->kvs_size() == 0) co_return fail(Code::kNotFound, "", key);
  co_return reply->kvs(0).value();
}

asio::awaitable<void> put_and_get(Channel& channel) {
  const auto small = co_await put(channel, "k", "v");
  EXPECT_TRUE(small) << small.error().message;
  const auto read = co_await get(channel, "k");
  EXPECT_EQ(read.value_or("?"), "v");
  const std::string large(1'400'000, 'x');
  const auto stored = co_await put(channel, "large", large);
  EXPECT_TRUE(stored);
  const auto same = co_await get(channel, "large");
  EXPECT_TRUE(same && *same == large);
}

asio::awaitable<void> transact(Channel& channel) {
  etcd::TxnRequest request;
  auto& compare = *request.add_compare();
  compare.set_target(etcd::Compare::VERSION);
  compare.set_key("once");
  compare.set_version(0);  // does not exist
  auto& op = *request.add_success()->mutable_request_put();
  op.set_key("once");
  op.set_value("first");
  for (const bool wins : {true, false}) {
    const auto reply = co_await channel.unary<etcd::TxnResponse>("etcdserverpb.KV/Txn", request, patient());
    EXPECT_TRUE(reply);
    if (reply) EXPECT_EQ(reply->succeeded(), wins);
  }
}

asio::awaitable<void> fail_as_etcd_says(Channel& channel) {
  etcd::RangeRequest request;
  request.set_key("k");
  request.set_revision(1'000'000);
  const auto reply = co_await channel.unary<etcd::RangeResponse>("etcdserverpb.KV/Range", request, patient());
  EXPECT_EQ(reply.error().code, Code::kOutOfRange);
  EXPECT_NE(reply.error().message.find("future revision"), std::string::npos) << reply.error().message;
}

asio::awaitable<void> watch_a_lease_end(Channel& channel) {
  etcd::LeaseGrantRequest grant;
  grant.set_ttl(30);
  const auto lease =
      co_await channel.unary<etcd::LeaseGrantResponse>("etcdserverpb.Lease/LeaseGrant", grant, patient());
  EXPECT_TRUE(lease);
  if (!lease) co_return;

  const auto keeper = co_await channel.bidi<etcd::LeaseKeepAliveRequest, etcd::LeaseKeepAliveResponse>(
      "etcdserverpb.Lease/LeaseKeepAlive", patient());
  for (int i = 0; i < 3; ++i) {
    etcd::LeaseKeepAliveRequest beat;
    beat.set_id(lease->id());
    const auto written = co_await keeper->write(beat);
    const auto kept = co_await keeper->read();
    EXPECT_TRUE(written && kept && *kept && (*kept)->ttl() == 30);
  }
  keeper->writes_done();
  const auto kept = co_await keeper->finish();
  EXPECT_TRUE(kept);

  const auto watch =
      co_await channel.bidi<etcd::WatchRequest, etcd::WatchResponse>("etcdserverpb.Watch/Watch", patient());
  etcd::WatchRequest create;
  create.mutable_create_request()->set_key("leased");
  const auto asked = co_await watch->write(create);
  const auto created = co_await watch->read();
  EXPECT_TRUE(asked && created && *created && (*created)->created());

  const auto stored = co_await put(channel, "leased", "for now", lease->id());
  const auto appeared = co_await watch->read();
  EXPECT_TRUE(stored && appeared && *appeared && (*appeared)->events(0).kv().value() == "for now");

  etcd::LeaseRevokeRequest revoke;
  revoke.set_id(lease->id());
  const auto revoked =
      co_await channel.unary<etcd::LeaseRevokeResponse>("etcdserverpb.Lease/LeaseRevoke", revoke, patient());
  const auto vanished = co_await watch->read();
  EXPECT_TRUE(revoked && vanished && *vanished && (*vanished)->events(0).type() == etcd::Event::DELETE);
}

class EtcdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kEtcd)) GTEST_SKIP() << "SKIPPED: no " << kEtcd << " (Debian etcd-server)";
    etcd_ = std::make_unique<EtcdProcess>();
    rpc::ChannelOptions options;
    options.endpoints = {"127.0.0.1:" + std::to_string(etcd_->port)};
    options.tls = tls_of("client");
    options.server_name = "localhost";
    channel_ = std::make_unique<Channel>(loop_.io.get_executor(), options);
  }
  void TearDown() override {
    if (channel_) loop_.run(channel_->close());
  }
  Loopback loop_;  // only its io_context
  std::unique_ptr<EtcdProcess> etcd_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(EtcdTest, KvTxnErrorsLeasesAndWatches) {
  loop_.run(put_and_get(*channel_));
  loop_.run(transact(*channel_));
  loop_.run(fail_as_etcd_says(*channel_));
  loop_.run(watch_a_lease_end(*channel_));
}

}  // namespace
}  // namespace berth::test
