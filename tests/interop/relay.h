// A TCP relay in front of a server, for tests: it can stop forwarding without closing anything, as a
// network does that has lost its way.
#pragma once

#include "base/task.h"
#include "base/task_group.h"

#include <array>
#include <cstdint>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace berth::test {

class Relay {
 public:
  Relay(asio::io_context& io, std::uint16_t server_port)
      : listener_(io, {asio::ip::address_v4::loopback(), 0}), server_port_(server_port) {}

  std::uint16_t port() const { return listener_.local_endpoint().port(); }
  // From now on bytes disappear.
  void swallow() { is_swallowing_ = true; }

  // Serves one connection after the other, until cancelled.
  asio::awaitable<void> run() {
    using namespace asio::experimental::awaitable_operators;
    using Socket = asio::ip::tcp::socket;
    const auto executor = co_await asio::this_coro::executor;
    while (true) {
      Socket client(executor);
      Socket server(executor);
      co_await listener_.async_accept(client, asio::use_awaitable);
      const asio::ip::tcp::endpoint target(asio::ip::address_v4::loopback(), server_port_);
      co_await server.async_connect(target, asio::use_awaitable);
      co_await (pump(client, server) && pump(server, client));
    }
  }

 private:
  // LIFETIME: both sockets belong to run(), which waits for both pumps.
  asio::awaitable<void> pump(asio::ip::tcp::socket& from, asio::ip::tcp::socket& to) {
    std::array<char, 16384> bytes;
    while (true) {
      const auto [error, count] = co_await from.async_read_some(asio::buffer(bytes), kAsTuple);
      boost::system::error_code ignored;
      if (error) {
        if (!is_swallowing_) to.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
        co_return;
      }
      if (!is_swallowing_) (void)co_await asio::async_write(to, asio::buffer(bytes, count), kAsTuple);
    }
  }

  asio::ip::tcp::acceptor listener_;
  std::uint16_t server_port_;
  bool is_swallowing_ = false;
};

}  // namespace berth::test
