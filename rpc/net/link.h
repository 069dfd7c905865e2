// One connection at work: moves bytes between a socket, an Engine and a Session, keeps the
// connection's deadlines, and hands events to its owner. Server and client share it.
//
// run() ends when the connection is over, for whatever reason; the Session stays usable after that
// (every call in it has ended), so calls may hold the Link as long as they like.
#pragma once

#include "base/task.h"
#include "rpc/core/lifetime.h"
#include "rpc/core/session.h"
#include "rpc/deadlines.h"
#include "rpc/net/engine.h"
#include "rpc/net/socket.h"

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace berth::rpc::net {

class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  // The engine is established and the peer is who it says; HTTP/2 follows.
  virtual void on_secure(Peer peer) = 0;
  // Never inside a call of the owner's into the Link.
  virtual void on_event(const core::Event& event) = 0;
  // The connection is over. Told once, before run() returns.
  virtual void on_over(const Error& reason) = 0;
};

class Link : public std::enable_shared_from_this<Link> {
 public:
  struct Parts {
    asio::any_io_executor executor;
    Fd socket;
    std::unique_ptr<Engine> engine;
    core::Role role;
    const Limits& limits;
    Deadlines& deadlines;  // LIFETIME: outlives run()
  };
  // LIFETIME: `owner` outlives run().
  Link(Parts parts, LinkOwner& owner);
  ~Link();

  asio::awaitable<void> run();
  core::Session& session() { return session_; }
  bool is_over() const { return over_.has_value(); }

  // To be called after using the session: sends what it has to say, soon.
  void flush_soon();
  // The same, before it returns. A client sends a request this way: one that is still queued when the
  // server's GOAWAY comes would be lost.
  void flush_now();
  // Graceful: no new calls, close after the last one has ended.
  void drain();
  // At once: tells the peer if it can, ends every call with `reason`.
  void close(Error reason);

 private:
  bool receive(std::span<const std::uint8_t> ciphertext);
  bool receive_more();
  bool take_plaintext();
  void dispatch_events();
  void update();  // events, then bytes, until there are no more events
  void flush();
  void wait_writable();
  void on_pong();
  void set_alarm();
  void on_alarm();
  void finish_closing();
  void watch_rest();

  asio::any_io_executor executor_;
  std::unique_ptr<Engine> engine_;
  core::Session session_;
  core::Lifetime lifetime_;
  asio::posix::stream_descriptor socket_;
  LinkOwner& owner_;
  Deadlines& deadlines_;
  std::optional<Deadlines::Handle> alarm_;
  std::optional<Deadlines::Handle> rest_alarm_;  // set while the engine may hold buffers
  bool is_resting_ = true;                       // nothing received since rest_alarm_ was set
  std::size_t sent_ = 0;                         // of engine_->output()
  bool is_secure_ = false;
  bool is_updating_ = false;
  bool is_flush_posted_ = false;
  bool is_waiting_writable_ = false;
  enum class Drain { kNo, kAnnounced, kFinal } drain_ = Drain::kNo;
  std::optional<Error> over_;
};

}  // namespace berth::rpc::net
