#include "rpc/server.h"

#include "base/task_group.h"
#include "rpc/net/plain_engine.h"
#include "rpc/net/socket.h"
#include "rpc/net/tls_engine.h"
#include "rpc/server_connection.h"

#include <cassert>
#include <cerrno>
#include <list>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace berth::rpc {

class Server::Impl {
 public:
  Impl(asio::any_io_executor executor, ServerOptions options)
      : options_(std::move(options)),
        parts_{.executor = executor,
               .limits = options_.limits,
               .methods = {},
               .authorize = {},
               .refused = {},
               .deadlines = Deadlines(executor)},
        connections_ended_(executor) {}
  ~Impl() { assert(connections_.empty() && "run() must have returned before the server dies"); }

  ServerParts& parts() { return parts_; }
  Result<void> listen();
  Result<void> reload_tls();
  std::uint16_t port() const { return port_; }
  asio::awaitable<void> run();

 private:
  using Connections = std::list<ServerConnection>;
  asio::awaitable<void> accept(TaskGroup& tasks);
  // nullptr: the peer is nobody that this server speaks with.
  std::unique_ptr<net::Engine> make_engine(int socket) const;
  asio::awaitable<void> serve(Connections::iterator connection);
  asio::awaitable<void> drain();

  ServerOptions options_;
  ServerParts parts_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::optional<asio::posix::stream_descriptor> listener_;
  std::string unix_path_;  // to be removed at the end
  std::uint16_t port_ = 0;
  Connections connections_;
  Signal connections_ended_;
};

Result<void> Server::Impl::reload_tls() {
  if (options_.only_uid) return {};
  auto loaded = net::TlsContext::load(options_.tls, core::Role::kServer);
  if (!loaded) return pass(loaded);
  tls_ = *std::move(loaded);
  return {};
}

Result<void> Server::Impl::listen() {
  if (const auto& checked = parts_.methods.check(); !checked) return checked;
  const auto endpoint = net::parse_endpoint(options_.listen);
  if (!endpoint) return pass(endpoint);
  if (options_.only_uid && !endpoint->is_unix)
    return fail(Code::kInvalidArgument, "BAD_ADDRESS", options_.listen + ": without TLS only a unix socket");
  if (auto loaded = reload_tls(); !loaded) return loaded;
  auto bound =
      net::listen_on(*endpoint, options_.only_uid ? net::UnixAccess::kOwner : net::UnixAccess::kUmask);
  if (!bound) return pass(bound);
  port_ = net::local_address(bound->get()).port();
  if (endpoint->is_unix) unix_path_ = endpoint->host;
  listener_.emplace(parts_.executor, bound->release());
  return {};
}

asio::awaitable<void> Server::Impl::run() {
  assert(listener_ && "listen() first");
  TaskGroup tasks(parts_.executor);
  co_await accept(tasks);  // until cancelled
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  listener_.reset();
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  co_await drain();
  co_await tasks.join();
}

asio::awaitable<void> Server::Impl::accept(TaskGroup& tasks) {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (true) {
    const auto [error] = co_await listener_->async_wait(asio::posix::stream_descriptor::wait_read, kAsTuple);
    if (error) co_return;
    net::Fd socket(::accept4(listener_->native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.get() < 0) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;
      // The connection stays in the backlog; trying at once again would only burn the CPU.
      const auto waited = co_await sleep_for(options_.limits.accept_pause);
      if (!waited) co_return;
      continue;
    }
    if (connections_.size() >= options_.limits.connections) continue;  // closes it
    auto engine = make_engine(socket.get());
    if (!engine) continue;
    net::set_no_delay(socket.get());
    const auto connection =
        connections_.emplace(connections_.end(), parts_, std::move(socket), std::move(engine));
    tasks.spawn("rpc connection", serve(connection));
  }
}

std::unique_ptr<net::Engine> Server::Impl::make_engine(int socket) const {
  if (!options_.only_uid) return std::make_unique<net::TlsEngine>(tls_, "");
  const auto uid = net::peer_uid(socket);
  if (!uid || *uid != *options_.only_uid) return nullptr;
  return std::make_unique<net::PlainEngine>(Peer{.uid = *uid});
}

asio::awaitable<void> Server::Impl::serve(Connections::iterator connection) {
  co_await connection->run();
  connections_.erase(connection);
  connections_ended_.notify_all();
}

asio::awaitable<void> Server::Impl::drain() {
  const auto give_up_at = std::chrono::steady_clock::now() + options_.limits.drain;
  for (auto& connection : connections_) connection.drain();
  bool is_late = false;
  const auto alarm = parts_.deadlines.add(give_up_at, [&] {
    is_late = true;
    connections_ended_.notify_all();
  });
  while (!connections_.empty() && !is_late) (void)co_await connections_ended_.wait();
  if (!is_late) parts_.deadlines.remove(alarm);
  for (auto& connection : connections_) {
    connection.close({.code = Code::kUnavailable, .message = "the server has shut down"});
  }
}

Server::Server(asio::any_io_executor executor, ServerOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}
Server::~Server() = default;

void Server::set_authorize(Authorize authorize) {
  impl_->parts().authorize = std::move(authorize);
}
void Server::set_refused(Refused refused) {
  impl_->parts().refused = std::move(refused);
}
void Server::add(std::string_view method, MethodShape shape, RawHandler handler) {
  impl_->parts().methods.add(method, shape, std::move(handler));
}
Result<void> Server::require_complete(std::string_view service) {
  return impl_->parts().methods.require_complete(service);
}
std::vector<std::string> Server::services() const {
  return impl_->parts().methods.services();
}
Result<void> Server::listen() {
  return impl_->listen();
}
std::uint16_t Server::port() const {
  return impl_->port();
}
Result<void> Server::reload_tls() {
  return impl_->reload_tls();
}
asio::awaitable<void> Server::run() {
  return impl_->run();
}

}  // namespace berth::rpc
