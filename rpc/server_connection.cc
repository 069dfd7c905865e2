#include "rpc/server_connection.h"

#include <exception>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

namespace berth::rpc {

ServerConnection::ServerConnection(ServerParts& server, net::Fd socket, std::unique_ptr<net::Engine> engine)
    : server_(server),
      address_(net::peer_address(socket.get()).str()),
      link_(std::make_shared<net::Link>(net::Link::Parts{.executor = server.executor,
                                                         .socket = std::move(socket),
                                                         .engine = std::move(engine),
                                                         .role = core::Role::kServer,
                                                         .limits = server.limits,
                                                         .deadlines = server.deadlines},
                                        *this)),
      all_ended_(server.executor) {}

asio::awaitable<void> ServerConnection::run() {
  co_await link_->run();
  while (!calls_.empty()) (void)co_await all_ended_.wait();
}

void ServerConnection::on_secure(Peer peer) {
  peer_ = std::make_shared<const Peer>(std::move(peer));
}

void ServerConnection::on_event(const core::Event& event) {
  using Kind = core::Event::Kind;
  if (event.kind == Kind::kRequest) {
    begin_call(event.stream);
    return;
  }
  const auto found = calls_.find(event.stream);
  if (found == calls_.end()) return;
  const auto call = found->second.call;
  if (event.kind == Kind::kReadable) call->wake_reader();
  if (event.kind == Kind::kWritable) call->wake_writer();
  if (event.kind == Kind::kClosed) call->abandon();
}

void ServerConnection::on_over(const Error& reason) {
  if (!peer_ && reason.code == Code::kUnauthenticated && server_.refused) server_.refused(address_, reason);
  // Session::abandon has closed every call; their events have been dispatched.
}

void ServerConnection::begin_call(core::StreamId stream) {
  auto head = link_->session().take_request(stream);
  const Method* method = server_.methods.find(head.method);
  if (server_.authorize) {
    // Before the method is looked up in public: who may not call learns nothing about what exists.
    if (const auto allowed = server_.authorize(*peer_, head.method); !allowed) {
      refuse(stream, allowed.error());
      return;
    }
  }
  if (link_->session().unsent() >= server_.limits.outbound_bytes / 4 * 3) {
    refuse(stream, {.code = Code::kResourceExhausted,
                    .message = "replies on this connection are not taken",
                    .reason = "PEER_TOO_SLOW"});
    return;
  }
  if (method == nullptr) {
    refuse(stream, {.code = Code::kUnimplemented, .message = fmt::format("unknown method {}", head.method)});
    return;
  }
  auto state = std::make_shared<CallState>();
  state->peer = peer_;
  state->method = std::move(head.method);
  state->metadata = std::move(head.metadata);
  auto timeout = head.timeout;
  if (server_.limits.call_age.count() > 0 && (!timeout || *timeout > server_.limits.call_age)) {
    timeout = server_.limits.call_age;
  }
  if (timeout) state->deadline = std::chrono::steady_clock::now() + *timeout;

  auto call = std::make_shared<ServerCall>(server_.executor, link_, stream, state, server_.limits);
  Entry& entry = calls_.emplace(stream, Entry{.call = call, .deadline = std::nullopt}).first->second;
  set_deadline(stream, entry, *state);
  // LIFETIME: `this` waits in run() until calls_ is empty, and end_call() is what empties it.
  auto ended = [this, stream](const std::exception_ptr&) { end_call(stream); };
  asio::co_spawn(server_.executor, call->run(*method),
                 asio::bind_cancellation_slot(call->cancellation_slot(), std::move(ended)));
}

void ServerConnection::refuse(core::StreamId stream, const Error& error) {
  link_->session().finish(stream, std::unexpected(error), {});
  link_->session().release(stream);
}

void ServerConnection::set_deadline(core::StreamId stream, Entry& entry, const CallState& state) {
  if (!state.deadline) return;
  entry.deadline = server_.deadlines.add(*state.deadline, [this, stream] {
    const auto found = calls_.find(stream);
    found->second.deadline.reset();
    const auto call = found->second.call;
    call->on_deadline();
  });
}

void ServerConnection::end_call(core::StreamId stream) {
  const auto found = calls_.find(stream);
  const auto ended = std::move(found->second);
  calls_.erase(found);
  if (ended.deadline) server_.deadlines.remove(*ended.deadline);
  ended.call->release();
  if (calls_.empty()) all_ended_.notify_all();
}

}  // namespace berth::rpc
