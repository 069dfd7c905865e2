// A gRPC server over mutual TLS 1.3. Handlers are coroutines; every one is cancelled (terminally)
// when its peer resets the call, the deadline passes, the connection is lost or the server stops.
//
//   Server server(executor, {.listen = "[::1]:7443", .tls = files});
//   server.unary<GetRequest, Thing>("pkg.Things/Get", [&](Context c, GetRequest r) { return get(c, r); });
//   if (auto ready = server.require_complete("pkg.Things"); !ready) ...
//   if (auto bound = server.listen(); !bound) ...
//   tasks.spawn("rpc server", server.run());
//
// Handlers are checked against the protobuf descriptors linked into the program: an unknown method,
// other types or another streaming kind is a programming error that listen() and require_complete()
// report. Server outlives run(); run() ends only when every handler has ended.
#pragma once

#include "base/task.h"
#include "rpc/context.h"
#include "rpc/limits.h"
#include "rpc/method.h"
#include "rpc/stream.h"
#include "rpc/tls.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace berth::rpc {

struct ServerOptions {
  std::string listen;  // "127.0.0.1:0", "[::1]:7443", "unix:/run/berth/api.sock"
  TlsFiles tls = {};
  // Set: no TLS, `listen` is a unix socket, made with mode 0600, and a peer that the kernel does not call
  // this user (SO_PEERCRED) is hung up on before a byte of it is read. What is left to authorize() is
  // Peer::uid.
  std::optional<std::uint32_t> only_uid = std::nullopt;
  Limits limits = {};
};

class Server {
 public:
  Server(asio::any_io_executor executor, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Without one every peer whose certificate verifies may call everything.
  void set_authorize(Authorize authorize);
  // Without one nobody hears of those that fail in the TLS handshake.
  void set_refused(Refused refused);

  template <typename Req, typename Resp>
  void unary(std::string_view method, std::function<Task<Resp>(Context, Req)> handler) {
    add(method, {.kind = StreamKind::kUnary, .request = Req::descriptor(), .response = Resp::descriptor()},
        unary_handler<Req, Resp>(std::move(handler)));
  }
  template <typename Req, typename Resp>
  void server_stream(std::string_view method, std::function<Task<void>(Context, Req, Writer<Resp>)> handler) {
    add(method, {.kind = StreamKind::kServer, .request = Req::descriptor(), .response = Resp::descriptor()},
        server_stream_handler<Req, Resp>(std::move(handler)));
  }
  template <typename Req, typename Resp>
  void client_stream(std::string_view method, std::function<Task<Resp>(Context, Reader<Req>)> handler) {
    add(method, {.kind = StreamKind::kClient, .request = Req::descriptor(), .response = Resp::descriptor()},
        client_stream_handler<Req, Resp>(std::move(handler)));
  }
  template <typename Req, typename Resp>
  void bidi(std::string_view method, std::function<Task<void>(Context, Reader<Req>, Writer<Resp>)> handler) {
    add(method, {.kind = StreamKind::kBidi, .request = Req::descriptor(), .response = Resp::descriptor()},
        bidi_handler<Req, Resp>(std::move(handler)));
  }

  // FAILED_PRECONDITION naming what is missing or wrong, when a method of `service` has no handler.
  Result<void> require_complete(std::string_view service);

  // Names of the services that have handlers, sorted.
  std::vector<std::string> services() const;

  // Loads the TLS files, binds and listens. Reasons: BAD_ADDRESS (also: only_uid, and not a unix socket),
  // ADDRESS_IN_USE, BAD_CERTIFICATE, BAD_HANDLER.
  Result<void> listen();
  // The bound port; 0 for a unix socket or before listen().
  std::uint16_t port() const;

  // Reads the TLS files again, for new connections; on error the last good ones stay in use.
  Result<void> reload_tls();

  // Serves until cancelled. Then: no new connections, GOAWAY to the old ones, running calls get
  // Limits::drain to end, the rest is cancelled; returns when all of it is over.
  asio::awaitable<void> run();

 private:
  void add(std::string_view method, MethodShape shape, RawHandler handler);

  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace berth::rpc
