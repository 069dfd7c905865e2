// One connection of a channel: its Link and the calls on it.
#pragma once

#include "base/signal.h"
#include "base/task.h"
#include "rpc/channel.h"
#include "rpc/net/link.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace berth::rpc {

class ChannelCall;
class ClientConnection;

using CallDeadline = std::optional<std::chrono::steady_clock::time_point>;

// What connections and calls need of their channel; shared, because a call may outlive the Channel.
struct ChannelParts {
  ChannelParts(asio::any_io_executor on, const Limits& limits_of)
      : executor(on), limits(limits_of), deadlines(on), changed(on) {}
  asio::any_io_executor executor;
  Limits limits;
  Deadlines deadlines;
  Signal changed;  // a connection came up, went away, or an attempt failed
  // A connection that takes calls; for a call that starts again. CANCELLED when the channel has gone.
  std::function<Task<std::shared_ptr<ClientConnection>>(WhenDown, CallDeadline)> acquire;
};

class ClientConnection : public net::LinkOwner, public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(std::shared_ptr<ChannelParts> channel, net::Fd socket,
                   std::shared_ptr<const net::TlsContext> tls, std::string server_name,
                   std::string authority);

  // Ends when the connection is over.
  asio::awaitable<void> run();
  void close(const Error& reason) { link_->close(reason); }

  net::Link& link() { return *link_; }
  core::Session& session() { return link_->session(); }
  const std::string& authority() const { return authority_; }
  bool is_ready() const { return is_ready_; }  // was up, once
  bool takes_calls() const { return is_ready_ && !link_->is_over() && link_->session().can_start(); }
  // Why it is over; only when it is.
  const Error& end() const { return *end_; }

  // LIFETIME: a call unregisters itself before it dies.
  void register_call(core::StreamId stream, ChannelCall* call) { calls_.emplace(stream, call); }
  void unregister_call(core::StreamId stream) { calls_.erase(stream); }

  void on_secure(Peer peer) override;
  void on_event(const core::Event& event) override;
  void on_over(const Error& reason) override;

 private:
  std::shared_ptr<ChannelParts> channel_;
  std::string authority_;
  std::shared_ptr<net::Link> link_;
  std::unordered_map<core::StreamId, ChannelCall*> calls_;
  bool is_ready_ = false;
  std::optional<Error> end_;
};

}  // namespace berth::rpc
