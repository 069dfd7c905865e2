// One client of the server: turns the events of its Link into calls, and knows when all of them have
// ended.
#pragma once

#include "base/signal.h"
#include "base/task.h"
#include "rpc/deadlines.h"
#include "rpc/method_table.h"
#include "rpc/net/link.h"
#include "rpc/peer.h"
#include "rpc/server_call.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace berth::rpc {

// What every connection needs of its server. LIFETIME: outlives them all.
struct ServerParts {
  asio::any_io_executor executor;
  Limits limits;
  MethodTable methods;
  Authorize authorize;
  Refused refused;
  Deadlines deadlines;
};

class ServerConnection : public net::LinkOwner {
 public:
  ServerConnection(ServerParts& server, net::Fd socket, std::unique_ptr<net::Engine> engine);

  // Ends when the connection is over and every handler has ended.
  asio::awaitable<void> run();
  void drain() { link_->drain(); }
  void close(const Error& reason) { link_->close(reason); }

  void on_secure(Peer peer) override;
  void on_event(const core::Event& event) override;
  void on_over(const Error& reason) override;

 private:
  struct Entry {
    std::shared_ptr<ServerCall> call;
    std::optional<Deadlines::Handle> deadline;
  };
  void begin_call(core::StreamId stream);
  void refuse(core::StreamId stream, const Error& error);
  void set_deadline(core::StreamId stream, Entry& entry, const CallState& state);
  void end_call(core::StreamId stream);

  ServerParts& server_;
  std::string address_;
  std::shared_ptr<net::Link> link_;
  std::shared_ptr<const Peer> peer_;
  std::unordered_map<core::StreamId, Entry> calls_;
  Signal all_ended_;
};

}  // namespace berth::rpc
