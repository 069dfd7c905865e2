// Our server and our channel in one io_context, for tests over real sockets and real TLS.
#pragma once

#include "base/task_group.h"
#include "rpc/channel.h"
#include "tests/interop/echo.pb.h"
#include "tests/interop/echo_service.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace berth::test {

using namespace std::chrono_literals;

// Made once for the whole build tree.
std::filesystem::path certificates();
// {server: "server" or "server2", others are clients}
rpc::TlsFiles tls_of(const std::string& name);

class Loopback {
 public:
  explicit Loopback(rpc::Limits limits = {}, std::string listen = "127.0.0.1:0",
                    rpc::TlsFiles tls = tls_of("server"));
  ~Loopback();

  // Starts serving.
  void serve();
  rpc::ChannelOptions channel_options(const std::string& client = "client") const;
  std::string endpoint() const { return endpoint_; }

  // Runs the io_context until `test` has ended; fails the test after half a minute.
  void run(asio::awaitable<void> test);
  // Runs the io_context until `done` is true; false after `patience`.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds patience = 20s);
  void stop_server();

  asio::io_context io;
  EchoCounts counts;
  rpc::Server server;

 private:
  TaskGroup tasks_;
  std::string endpoint_;
  bool is_stopped_ = false;
};

// "hi", echoed.
Task<std::string> say(rpc::Channel& channel, rpc::CallOptions options = {});
// The outcome of one say() on a channel of its own.
Result<void> call_once(Loopback& loop, rpc::ChannelOptions options, rpc::CallOptions call_options = {});

}  // namespace berth::test
