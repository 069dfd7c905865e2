#include "base/main_loop.h"
#include "base/task_group.h"
#include "rpc/server.h"
#include "tests/bench/rpc/bench.pb.h"
#include "tests/bench/rpc/servers.h"

#include <chrono>
#include <cstdio>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace berth::bench {
namespace {

Task<Payload> call(rpc::Context, Payload request) {
  co_return request;
}

Task<void> stream(rpc::Context, Payload request, rpc::Writer<Payload> replies) {
  if (request.count() == 0) {
    const auto waited = co_await sleep_for(std::chrono::hours(1));
    if (!waited) co_return pass(waited);
  }
  for (std::uint32_t i = 0; i < request.count(); ++i) {
    const auto queued = replies.put(request);
    if (!queued) co_return pass(queued);
    if (!replies.is_full()) continue;
    const auto waited = co_await replies.wait();
    if (!waited) co_return pass(waited);
  }
  co_return Result<void>();
}

asio::awaitable<void> serve(asio::io_context& io, rpc::Server& server) {
  TaskGroup tasks(io.get_executor());
  tasks.spawn("server", server.run());
  asio::posix::stream_descriptor input(io, ::dup(STDIN_FILENO));
  char byte = 0;
  (void)co_await input.async_read_some(asio::buffer(&byte, 1), kAsTuple);
  tasks.cancel();
  co_await tasks.join();
}

}  // namespace

int serve_ours(const ServerFiles& files) {
  asio::io_context io(1);
  rpc::ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.tls = {
      .certificate = files.certificate, .private_key = files.private_key, .trusted_ca = files.trusted_ca};
  options.limits.connections = 4096;
  options.limits.drain = std::chrono::milliseconds(100);
  rpc::Server server(io.get_executor(), options);
  server.unary<Payload, Payload>("berth.bench.Bench/Call", call);
  server.server_stream<Payload, Payload>("berth.bench.Bench/Stream", stream);
  if (const auto bound = server.listen(); !bound) {
    std::fprintf(stderr, "%s\n", bound.error().message.c_str());
    return 1;
  }
  std::printf("%u\n", server.port());
  std::fflush(stdout);
  run_to_end(io, serve(io, server));
  return 0;
}

}  // namespace berth::bench
