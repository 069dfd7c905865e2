#include "rpc/client_connection.h"

#include "rpc/channel_call.h"

#include <utility>

namespace berth::rpc {

ClientConnection::ClientConnection(std::shared_ptr<ChannelParts> channel, net::Fd socket,
                                   std::shared_ptr<const net::TlsContext> tls, std::string server_name,
                                   std::string authority)
    : channel_(std::move(channel)),
      authority_(std::move(authority)),
      link_(std::make_shared<net::Link>(net::Link::Parts{.executor = channel_->executor,
                                                         .socket = std::move(socket),
                                                         .tls = std::move(tls),
                                                         .server_name = std::move(server_name),
                                                         .limits = channel_->limits,
                                                         .deadlines = channel_->deadlines},
                                        *this)) {}

asio::awaitable<void> ClientConnection::run() {
  const auto self = shared_from_this();
  co_await link_->run();
}

void ClientConnection::on_secure(Peer) {}

void ClientConnection::on_event(const core::Event& event) {
  using Kind = core::Event::Kind;
  if (event.kind == Kind::kReady) {
    is_ready_ = true;
    channel_->changed.notify_all();
    return;
  }
  if (event.kind == Kind::kGoaway) {
    channel_->changed.notify_all();
    return;
  }
  const auto found = calls_.find(event.stream);
  if (found != calls_.end()) found->second->on_event(event.kind);
}

void ClientConnection::on_over(const Error& reason) {
  end_ = reason;
  channel_->changed.notify_all();
}

}  // namespace berth::rpc
