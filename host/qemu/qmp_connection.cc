#include "host/qemu/qmp_connection.h"

#include <array>
#include <random>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace berth::host::qemu {
namespace {

using Socket = asio::local::stream_protocol;

Error unreachable(std::string message) {
  return {.code = Code::kUnavailable, .message = std::move(message), .reason = "VMM_UNREACHABLE"};
}

Error hung_up(const boost::system::error_code& error) {
  return {.code = Code::kUnavailable,
          .message = "the monitor hung up: " + error.message(),
          .reason = "VMM_HUNG_UP"};
}

// A socket that QEMU has made but does not listen to yet refuses like one that a dead QEMU has left.
constexpr int kRefusals = 5;
constexpr std::chrono::milliseconds kRetryInterval{20};

// unix(7): without a place in the listener's queue, connect() on a non-blocking socket fails with EAGAIN, and
// nothing is under way; Asio takes that for a connect that ends when the socket is writable, which it is.
bool is_connected(const Socket::socket& socket) {
  boost::system::error_code error;
  (void)socket.remote_endpoint(error);
  return !error;
}

// Waits for a place in the queue for as long as it takes.
Task<void> connect(Socket::socket& socket, Socket::endpoint endpoint) {
  int refusals = 0;
  while (true) {
    const auto [error] = co_await socket.async_connect(endpoint, kAsTuple);
    if (!error && is_connected(socket)) co_return Result<void>();
    const bool is_refused = error == asio::error::connection_refused;
    if (!error || (is_refused && ++refusals < kRefusals)) {
      boost::system::error_code ignored;  // opened anew by the next async_connect
      socket.close(ignored);
      const auto slept = co_await sleep_for(kRetryInterval);
      if (!slept) co_return slept;
      continue;
    }
    const bool is_absent = error == boost::system::errc::no_such_file_or_directory;
    if (error == asio::error::connection_refused || is_absent)
      co_return fail(Code::kNotFound, "VM_NOT_RUNNING",
                     fmt::format("no QEMU listens to {}", endpoint.path()));
    co_return std::unexpected(
        unreachable(fmt::format("connect to {}: {}", endpoint.path(), error.message())));
  }
}

// Another one for each connection, of every process.
std::string unique_client() {
  std::random_device random;
  return fmt::format("berth-{:08x}{:08x}", random(), random());
}

}  // namespace

QmpConnection::Wire::Wire(asio::any_io_executor executor)
    : socket(executor), protocol(unique_client()), changed(executor) {}

Task<std::shared_ptr<QmpConnection>> QmpConnection::open(TaskGroup& readers, asio::any_io_executor executor,
                                                         std::string path, std::chrono::milliseconds wait) {
  auto wire = std::make_shared<Wire>(executor);
  Socket::endpoint endpoint(path);
  const auto connected = co_await with_deadline(wait, connect(wire->socket, endpoint));
  if (!connected && connected.error().code == Code::kNotFound) co_return pass(connected);
  if (!connected) co_return std::unexpected(unreachable(connected.error().message));
  std::shared_ptr<QmpConnection> connection(new QmpConnection(wire));
  readers.spawn("qmp " + path, read(wire));
  const auto greeted = co_await with_deadline(wait, wire->greet());
  if (greeted) co_return connection;
  if (wire->why_closed) co_return std::unexpected(*wire->why_closed);
  co_return std::unexpected(unreachable(fmt::format(
      "{}: no greeting within {} ms; QEMU hangs, or another program has its monitor", path, wait.count())));
}

QmpConnection::~QmpConnection() {
  wire_->close(unreachable("closed"));
}

void QmpConnection::Wire::close(Error why) {
  if (why_closed) return;
  why_closed = std::move(why);
  boost::system::error_code ignored;  // it is gone either way
  socket.close(ignored);
  changed.notify_all();
}

Task<void> QmpConnection::Wire::flush() {
  const std::string bytes = protocol.take_output();
  if (bytes.empty()) co_return Result<void>();
  const auto [error, written] = co_await asio::async_write(socket, asio::buffer(bytes), kAsTuple);
  if (error) co_return std::unexpected(hung_up(error));
  co_return Result<void>();
}

Task<void> QmpConnection::Wire::greet() {
  while (!protocol.is_ready() && !why_closed) {
    const auto woken = co_await changed.wait();
    if (!woken) co_return woken;
  }
  if (why_closed) co_return std::unexpected(*why_closed);
  co_return Result<void>();
}

void QmpConnection::Wire::take_messages() {
  while (auto message = protocol.take()) {
    if (auto* event = std::get_if<QmpEvent>(&*message)) {
      events.push_back(std::move(*event));
      ++event_end;
      if (events.size() > kKeptEvents) events.pop_front();
    } else {
      reply = std::get<QmpReply>(*std::move(message));
    }
  }
}

asio::awaitable<void> QmpConnection::read(std::shared_ptr<Wire> wire) {
  std::array<char, 16384> buffer;
  while (!wire->why_closed) {
    const auto [error, size] = co_await wire->socket.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error) co_return wire->close(hung_up(error));
    const auto received = wire->protocol.receive({buffer.data(), size});
    if (!received) co_return wire->close(unreachable(received.error().message));
    const auto flushed = co_await wire->flush();  // the negotiation
    if (!flushed) co_return wire->close(flushed.error());
    wire->take_messages();
    wire->changed.notify_all();
  }
}

Task<QmpReply> QmpConnection::Wire::converse(std::uint64_t id) {
  const auto flushed = co_await flush();
  if (!flushed) co_return pass(flushed);
  while (!reply || reply->id != id) {
    if (why_closed) co_return std::unexpected(*why_closed);
    const auto woken = co_await changed.wait();
    if (!woken) co_return pass(woken);
  }
  co_return *std::exchange(reply, std::nullopt);
}

Task<boost::json::value> QmpConnection::execute(std::string command, boost::json::object arguments,
                                                std::chrono::milliseconds wait) {
  const auto wire = wire_;  // outlives whoever drops the connection meanwhile
  if (wire->why_closed) co_return std::unexpected(*wire->why_closed);
  const auto id = wire->protocol.request(command, std::move(arguments));
  auto reply = co_await with_deadline(wait, wire->converse(id));
  if (reply) co_return std::move(reply->outcome);
  if (reply.error().reason == "VMM_HUNG_UP") wire->close(reply.error());
  if (!wire->why_closed) {
    wire->close(unreachable(reply.error().code == Code::kDeadlineExceeded
                                ? fmt::format("no reply to {} within {} ms", command, wait.count())
                                : fmt::format("{}: {}", command, reply.error().message)));
  }
  co_return std::unexpected(*wire->why_closed);
}

const QmpEvent* QmpConnection::find_event(std::uint64_t number) const {
  const auto first = wire_->event_end - wire_->events.size();
  if (number < first || number >= wire_->event_end) return nullptr;
  return &wire_->events[static_cast<std::size_t>(number - first)];
}

}  // namespace berth::host::qemu
