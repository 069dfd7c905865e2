#include "tests/interop/loopback.h"

#include <cstdlib>

namespace berth::test {

std::filesystem::path certificates() {
  static const std::filesystem::path kFolder = [] {
    const std::filesystem::path folder = BERTH_TEST_CERTIFICATES;
    if (!std::filesystem::exists(folder / "done")) {
      ADD_FAILURE() << "no certificates in " << folder << ": run the test through ctest";
    }
    return folder;
  }();
  return kFolder;
}

rpc::TlsFiles tls_of(const std::string& name) {
  const auto folder = certificates();
  return {.certificate = folder / (name + ".crt"),
          .private_key = folder / (name + ".key"),
          .trusted_ca = folder / "ca.crt"};
}

Loopback::Loopback(rpc::Limits limits, std::string listen, rpc::TlsFiles tls)
    : server(io.get_executor(), {.listen = listen, .tls = std::move(tls), .limits = limits}),
      tasks_(io.get_executor()) {
  add_echo_service(server, counts);
  EXPECT_TRUE(server.require_complete("berth.test.Echo"));
  endpoint_ = std::move(listen);
}

Loopback::~Loopback() {
  stop_server();
}

void Loopback::serve() {
  const auto bound = server.listen();
  ASSERT_TRUE(bound) << bound.error().message;
  if (endpoint_.ends_with(":0"))
    endpoint_ = endpoint_.substr(0, endpoint_.size() - 1) + std::to_string(server.port());
  tasks_.spawn("server", server.run());
}

rpc::ChannelOptions Loopback::channel_options(const std::string& client) const {
  return {.endpoints = {endpoint_}, .tls = tls_of(client), .server_name = "localhost"};
}

void Loopback::run(asio::awaitable<void> test) {
  bool ended = false;
  asio::co_spawn(io, std::move(test), [&](const std::exception_ptr& thrown) {
    ended = true;
    if (thrown) std::rethrow_exception(thrown);
  });
  ASSERT_TRUE(run_until([&] { return ended; }, 30s)) << "the test hangs";
}

bool Loopback::run_until(const std::function<bool()>& done, std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  io.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    io.run_one_for(50ms);
    if (io.stopped()) io.restart();
  }
  return true;
}

void Loopback::stop_server() {
  if (std::exchange(is_stopped_, true)) return;
  tasks_.cancel();
  EXPECT_TRUE(run_until([&] { return tasks_.count() == 0; })) << "the server does not stop";
  EXPECT_EQ(counts.started, counts.ended);
}

Task<std::string> say(rpc::Channel& channel, rpc::CallOptions options) {
  EchoRequest request;
  request.set_text("hi");
  const auto reply = co_await channel.unary<EchoReply>("berth.test.Echo/Say", request, std::move(options));
  if (!reply) co_return pass(reply);
  co_return reply->text();
}

Result<void> call_once(Loopback& loop, rpc::ChannelOptions options, rpc::CallOptions call_options) {
  Result<void> outcome;
  const auto test = [](Loopback& on, rpc::ChannelOptions with, rpc::CallOptions how,
                       Result<void>& result) -> asio::awaitable<void> {
    rpc::Channel channel(on.io.get_executor(), std::move(with));
    const auto reply = co_await say(channel, std::move(how));
    result = reply ? Result<void>() : std::unexpected(reply.error());
    co_await channel.close();
  };
  loop.run(test(loop, std::move(options), std::move(call_options), outcome));
  return outcome;
}

}  // namespace berth::test
