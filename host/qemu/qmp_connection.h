// One connection to a monitor: commands and their replies, and the events that came meanwhile. QEMU serves
// one client of a monitor at a time, so a connection lives no longer than the work that needs it.
#pragma once

#include "base/signal.h"
#include "base/task_group.h"
#include "host/qemu/qmp_protocol.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include <boost/asio/local/stream_protocol.hpp>

namespace berth::host::qemu {

class QmpConnection {
 public:
  // Connects, is greeted, negotiates. NOT_FOUND (VM_NOT_RUNNING): there is no socket, or nobody listens to
  // it, so the QEMU that made it is gone. UNAVAILABLE: VMM_HUNG_UP (QEMU may have ended just now),
  // VMM_UNREACHABLE (everything else, for instance nobody greets within `wait`). `readers` outlives the
  // connection.
  static Task<std::shared_ptr<QmpConnection>> open(TaskGroup& readers, asio::any_io_executor executor,
                                                   std::string path, std::chrono::milliseconds wait);
  ~QmpConnection();
  QmpConnection(const QmpConnection&) = delete;
  QmpConnection& operator=(const QmpConnection&) = delete;

  // One command at a time. Errors of QEMU as in QmpReply. UNAVAILABLE (VMM_UNREACHABLE) when there is no
  // reply within `wait`, or the caller is cancelled: whether the command has been executed is not known then,
  // and the connection is closed.
  Task<boost::json::value> execute(std::string command, boost::json::object arguments,
                                   std::chrono::milliseconds wait);

  bool is_closed() const { return wire_->why_closed.has_value(); }

  // Events are numbered from 0; the last kKeptEvents are kept.
  std::uint64_t event_end() const { return wire_->event_end; }
  // Nothing when it is not kept any more.
  const QmpEvent* find_event(std::uint64_t number) const;
  // An event has come, or the connection has ended.
  Signal& changed() { return wire_->changed; }

  static constexpr std::size_t kKeptEvents = 256;

 private:
  // What the reader works on, too. It ends when the socket is closed.
  struct Wire {
    explicit Wire(asio::any_io_executor executor);
    void close(Error why);
    Task<void> flush();
    Task<void> greet();
    Task<QmpReply> converse(std::uint64_t id);
    void take_messages();

    asio::local::stream_protocol::socket socket;
    QmpProtocol protocol;
    std::optional<QmpReply> reply;
    std::deque<QmpEvent> events;
    std::uint64_t event_end = 0;
    std::optional<Error> why_closed;
    Signal changed;
  };
  static asio::awaitable<void> read(std::shared_ptr<Wire> wire);
  explicit QmpConnection(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

  std::shared_ptr<Wire> wire_;
};

}  // namespace berth::host::qemu
