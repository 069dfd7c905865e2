// A gRPC client: one connection, over mutual TLS 1.3, to the first of several endpoints that
// answers. It connects with the first call, reconnects with back-off and jitter, and tells the
// caller UNAVAILABLE (or waits, if asked to) meanwhile.
//
//   Channel channel(executor, {.endpoints = {"controller:7443"}, .tls = files});
//   auto thing = co_await channel.unary<Thing>("pkg.Things/Get", request, {.timeout = 5s});
//
// close() before the io_context ends; calls still in flight then end with CANCELLED.
#pragma once

#include "base/task.h"
#include "rpc/client_stream.h"
#include "rpc/limits.h"
#include "rpc/metadata.h"
#include "rpc/tls.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace berth::rpc {

struct ChannelOptions {
  // "host:port", "192.0.2.1:7443", "[::1]:7443", "unix:/path"; tried in order.
  std::vector<std::string> endpoints;
  TlsFiles tls = {};
  // Set: no TLS, the endpoints are unix sockets, and the process that listens there must be of this user:
  // PERMISSION_DENIED (WRONG_USER) otherwise.
  std::optional<std::uint32_t> only_uid = std::nullopt;
  // Must be in the server's certificate (DNS or IP name); empty: the endpoint's host, which a unix
  // endpoint does not have.
  std::string server_name = {};
  Limits limits = {};
  milliseconds connect_timeout = std::chrono::seconds(10);  // one endpoint: name, TCP, TLS, HTTP/2
  milliseconds backoff_first = std::chrono::milliseconds(100);
  milliseconds backoff_max = std::chrono::seconds(30);
  std::string user_agent = "berth/0.1";
};

enum class WhenDown {
  kFail,  // UNAVAILABLE as soon as an attempt to connect has failed
  kWait,  // until connected or the call's deadline
};

struct CallOptions {
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;  // none: for ever
  Metadata metadata = {};
  WhenDown when_down = WhenDown::kFail;
};

class Channel {
 public:
  Channel(asio::any_io_executor executor, ChannelOptions options);
  ~Channel();  // cancels what is in flight
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // `method` is "pkg.Service/Method".
  template <typename Resp, typename Req>
  Task<Resp> unary(std::string method, const Req& request, CallOptions options = {}) {
    return unary_bytes<Resp>(this, std::move(method), serialize_message(request), std::move(options));
  }
  template <typename Resp, typename Req>
  Task<ClientReader<Resp>> server_stream(std::string method, const Req& request, CallOptions options = {}) {
    return reader_of<Resp>(this, std::move(method), serialize_message(request), std::move(options));
  }
  template <typename Req, typename Resp>
  Task<ClientWriter<Req, Resp>> client_stream(std::string method, CallOptions options = {}) {
    return handle_of<ClientWriter<Req, Resp>>(start(std::move(method), std::move(options)));
  }
  template <typename Req, typename Resp>
  Task<ClientStream<Req, Resp>> bidi(std::string method, CallOptions options = {}) {
    return handle_of<ClientStream<Req, Resp>>(start(std::move(method), std::move(options)));
  }

  // Reads the TLS files again, for the next connection; on error the last good ones stay in use.
  Result<void> reload_tls();

  // Ends the connection and every call. Idempotent.
  asio::awaitable<void> close();

 private:
  // Waits for a connection (see WhenDown) and opens a stream on it.
  Task<std::shared_ptr<ClientCall>> start(std::string method, CallOptions options);
  // The same, with the only request written and the call half-closed.
  Task<std::shared_ptr<ClientCall>> start_with(std::string method, std::string request, CallOptions options);

  template <typename Resp>
  static Task<Resp> unary_bytes(Channel* self, std::string method, Result<std::string> request,
                                CallOptions options) {
    if (!request) co_return pass(request);
    auto call = co_await self->start_with(std::move(method), *std::move(request), std::move(options));
    if (!call) co_return pass(call);
    co_return co_await read_reply<Resp>(*std::move(call));
  }
  template <typename Resp>
  static Task<ClientReader<Resp>> reader_of(Channel* self, std::string method, Result<std::string> request,
                                            CallOptions options) {
    if (!request) co_return pass(request);
    auto call = co_await self->start_with(std::move(method), *std::move(request), std::move(options));
    if (!call) co_return pass(call);
    co_return ClientReader<Resp>(*std::move(call));
  }
  template <typename Handle>
  static Task<Handle> handle_of(Task<std::shared_ptr<ClientCall>> started) {
    auto call = co_await std::move(started);
    if (!call) co_return pass(call);
    co_return Handle(*std::move(call));
  }

  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace berth::rpc
