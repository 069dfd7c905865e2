#include "tests/bench/rpc/load.h"

#include "rpc/channel.h"
#include "tests/bench/rpc/bench.pb.h"
#include "tests/fakes/run_task.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <list>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace berth::bench {
namespace {

using Clock = std::chrono::steady_clock;
using rpc::Channel;
using testing::run_until_done;
using std::chrono_literals::operator""s;

constexpr std::size_t kPayloadBytes = 195;  // 199 on the wire

rpc::ChannelOptions options_of(const Target& target) {
  rpc::ChannelOptions options;
  options.endpoints = {"127.0.0.1:" + std::to_string(target.port)};
  options.tls = {.certificate = target.certificates + "/client.crt",
                 .private_key = target.certificates + "/client.key",
                 .trusted_ca = target.certificates + "/ca.crt"};
  options.server_name = "localhost";
  // As a client would that wants throughput: the server is measured, not its wait for credit.
  options.limits.stream_window_bytes = 16 * 1024 * 1024;
  options.limits.connection_window_bytes = 16 * 1024 * 1024;
  return options;
}

Payload payload() {
  Payload message;
  message.set_data(std::string(kPayloadBytes, 'x'));
  return message;
}

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

void require(const Result<void>& outcome) {
  if (outcome) return;
  std::fprintf(stderr, "bench: %s\n", outcome.error().message.c_str());
  std::exit(1);
}

asio::awaitable<void> close_all(std::list<Channel>& channels) {
  for (auto& channel : channels) co_await channel.close();
}

asio::awaitable<void> call_until(Channel& channel, Clock::time_point end, UnaryLoad& load, int& running) {
  const Payload request = payload();
  while (Clock::now() < end) {
    const auto begun = Clock::now();
    const auto reply = co_await channel.unary<Payload>("berth.bench.Bench/Call", request);
    if (!reply) require(std::unexpected(reply.error()));
    load.latencies_us.push_back(seconds_since(begun) * 1e6);
    ++load.calls;
  }
  --running;
}

asio::awaitable<void> warm_up(std::list<Channel>& channels) {
  const Payload request = payload();
  for (auto& channel : channels) {
    const auto reply = co_await channel.unary<Payload>("berth.bench.Bench/Call", request);
    if (!reply) require(std::unexpected(reply.error()));
  }
}

asio::awaitable<void> read_stream(Channel& channel, std::uint32_t messages, StreamLoad& load) {
  Payload request = payload();
  request.set_count(messages);
  const auto begun = Clock::now();
  const auto replies = co_await channel.server_stream<Payload>("berth.bench.Bench/Stream", request);
  if (!replies) require(std::unexpected(replies.error()));
  Payload reply;
  while (true) {
    const auto next = replies->take(reply);
    if (!next) require(std::unexpected(next.error()));
    if (*next == rpc::Next::kEnd) break;
    if (*next == rpc::Next::kMessage) {
      ++load.messages;
    } else {
      require(co_await replies->wait());
    }
  }
  load.seconds = seconds_since(begun);
}

}  // namespace

UnaryLoad run_unary(const Target& target, int connections, int streams, double seconds) {
  asio::io_context io(1);
  std::list<Channel> channels;
  for (int i = 0; i < connections; ++i) channels.emplace_back(io.get_executor(), options_of(target));
  run_until_done(io, warm_up(channels));
  UnaryLoad load;
  const auto begun = Clock::now();
  const auto end =
      begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  int running = 0;
  for (auto& channel : channels) {
    for (int i = 0; i < streams; ++i) {
      ++running;
      asio::co_spawn(io, call_until(channel, end, load, running), [](const std::exception_ptr& thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
    }
  }
  io.restart();
  while (running > 0) io.run_one();
  load.seconds = seconds_since(begun);
  std::ranges::sort(load.latencies_us);
  run_until_done(io, close_all(channels));
  return load;
}

StreamLoad run_stream(const Target& target, std::uint32_t messages) {
  asio::io_context io(1);
  std::list<Channel> channels;
  channels.emplace_back(io.get_executor(), options_of(target));
  run_until_done(io, warm_up(channels));
  StreamLoad load;
  run_until_done(io, read_stream(channels.front(), messages, load));
  run_until_done(io, close_all(channels));
  return load;
}

struct Holder::Impl {
  asio::io_context io{1};
  std::list<Channel> channels;
  std::list<rpc::ClientReader<Payload>> streams;
};

namespace {

asio::awaitable<void> open_streams(Channel& channel, int count,
                                   std::list<rpc::ClientReader<Payload>>& streams) {
  const Payload request = payload();
  for (int i = 0; i < count; ++i) {
    auto stream = co_await channel.server_stream<Payload>("berth.bench.Bench/Stream", request);
    if (!stream) require(std::unexpected(stream.error()));
    streams.push_back(*std::move(stream));
  }
}

}  // namespace

Holder::Holder(const Target& target, int connections, int streams_each) : impl_(std::make_unique<Impl>()) {
  for (int i = 0; i < connections; ++i) {
    impl_->channels.emplace_back(impl_->io.get_executor(), options_of(target));
  }
  run_until_done(impl_->io, warm_up(impl_->channels));
  for (auto& channel : impl_->channels)
    run_until_done(impl_->io, open_streams(channel, streams_each, impl_->streams));
  impl_->io.restart();
  impl_->io.run_for(1s);  // until both sides are at rest
}

Holder::~Holder() {
  impl_->streams.clear();
  run_until_done(impl_->io, close_all(impl_->channels));
}

}  // namespace berth::bench
