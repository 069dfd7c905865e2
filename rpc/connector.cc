#include "rpc/connector.h"

#include <cstring>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

namespace berth::rpc {
namespace {

Task<std::vector<net::SocketAddress>> resolve(net::Endpoint endpoint) {
  std::vector<net::SocketAddress> addresses;
  if (auto numeric = net::numeric_address(endpoint)) {
    addresses.push_back(*numeric);
    co_return addresses;
  }
  asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
  const auto port = std::to_string(endpoint.port);
  const auto [error, found] = co_await resolver.async_resolve(
      endpoint.host, port, asio::ip::tcp::resolver::numeric_service, kAsTuple);
  if (error) {
    co_return fail(Code::kUnavailable, "NAME_UNKNOWN", fmt::format("{}: {}", endpoint.host, error.message()));
  }
  for (const auto& entry : found) {
    const auto native = entry.endpoint();
    net::SocketAddress address;
    std::memcpy(&address.storage, native.data(), native.size());
    address.size = static_cast<socklen_t>(native.size());
    addresses.push_back(address);
  }
  co_return addresses;
}

Task<net::Fd> connect_address(net::SocketAddress address) {
  auto begun = net::begin_connect(address);
  if (!begun) co_return pass(begun);
  asio::posix::stream_descriptor socket(co_await asio::this_coro::executor, begun->release());
  const auto [error] = co_await socket.async_wait(asio::posix::stream_descriptor::wait_write, kAsTuple);
  if (error) co_return fail(Code::kCancelled, "", "cancelled while connecting");
  if (const int failed = net::connect_error(socket.native_handle()); failed != 0) {
    co_return fail(Code::kUnavailable, "CONNECT_FAILED",
                   fmt::format("{}: {}", address.str(), std::strerror(failed)));
  }
  net::set_no_delay(socket.native_handle());
  co_return net::Fd(socket.release());
}

}  // namespace

Task<net::Fd> connect_to(net::Endpoint endpoint) {
  const auto addresses = co_await resolve(endpoint);
  if (!addresses) co_return pass(addresses);
  Result<net::Fd> outcome = fail(Code::kUnavailable, "NAME_UNKNOWN", endpoint.host + ": no address");
  for (const auto& address : *addresses) {
    outcome = co_await connect_address(address);
    if (outcome || outcome.error().code == Code::kCancelled) break;
  }
  co_return outcome;
}

}  // namespace berth::rpc
