// A test server for foreign clients: echo_server CERTIFICATES [--listen ADDRESS]. Prints "port N" when
// it accepts, serves until standard input ends or SIGTERM comes, then drains.
#include "base/task_group.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "tests/interop/echo_service.h"
#include "tests/interop/test_service.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>

namespace berth::test {
namespace {

rpc::ServerOptions options_of(const std::filesystem::path& certificates, std::string listen) {
  rpc::ServerOptions options;
  options.listen = std::move(listen);
  options.tls = {.certificate = certificates / "server.crt",
                 .private_key = certificates / "server.key",
                 .trusted_ca = certificates / "ca.crt"};
  return options;
}

Result<void> authorize(const rpc::Peer& peer, std::string_view) {
  if (peer.spiffe_id() == "spiffe://berth.test/role/vmaas") return {};
  return fail(Code::kPermissionDenied, "WRONG_ROLE", peer.common_name + " may not call this");
}

asio::awaitable<void> wait_for_end(asio::io_context& io) {
  using namespace asio::experimental::awaitable_operators;
  asio::signal_set signals(io, SIGTERM, SIGINT);
  asio::posix::stream_descriptor input(io, ::dup(STDIN_FILENO));
  char byte = 0;
  auto signalled = signals.async_wait(kAsTuple);
  auto ended = input.async_read_some(asio::buffer(&byte, 1), kAsTuple);
  (void)co_await (std::move(signalled) || std::move(ended));
}

asio::awaitable<void> serve(asio::io_context& io, rpc::Server& server) {
  TaskGroup tasks(io.get_executor());
  tasks.spawn("server", server.run());
  co_await wait_for_end(io);
  tasks.cancel();
  co_await tasks.join();
}

int run(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: %s CERTIFICATES [--listen ADDRESS]\n", argv[0]), 2;
  std::string listen = "127.0.0.1:0";
  if (argc == 4 && std::string(argv[2]) == "--listen") listen = argv[3];

  asio::io_context io(1);
  EchoCounts counts;
  rpc::Server server(io.get_executor(), options_of(argv[1], listen));
  server.set_authorize(authorize);
  add_echo_service(server, counts);
  rpc::Health health(io.get_executor());
  health.add_to(server);
  health.set("", rpc::Health::Status::kServing);
  health.set("berth.test.Echo", rpc::Health::Status::kServing);
  add_test_service(server);
  rpc::add_reflection(server);
  auto ready = server.require_complete("berth.test.Echo");
  if (ready) ready = server.listen();
  if (!ready) return std::fprintf(stderr, "%s\n", ready.error().message.c_str()), 1;
  std::printf("port %u\n", server.port());
  std::fflush(stdout);

  asio::co_spawn(io, serve(io, server), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  io.run();
  std::printf("handlers started %d ended %d cancelled %d\n", counts.started, counts.ended, counts.cancelled);
  return counts.started == counts.ended ? 0 : 1;
}

}  // namespace
}  // namespace berth::test

int main(int argc, char** argv) {
  return berth::test::run(argc, argv);
}
