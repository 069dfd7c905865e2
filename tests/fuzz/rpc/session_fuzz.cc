// Feeds foreign bytes to a Session and plays its caller. The first byte of the input chooses the side
// and where the bytes are cut: 0x80 client, the rest is the size of the pieces.
//
// Beside crashes it looks for broken promises: a session that grows beyond its limits.
#include "rpc/core/session.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

namespace berth::rpc::core {
namespace {

using Kind = Event::Kind;

Limits small_limits() {
  Limits limits;
  limits.streams = 10;
  limits.running_calls = 12;
  limits.header_list_bytes = 2000;
  limits.message_bytes = 10'000;
  limits.stream_window_bytes = 4000;
  limits.connection_window_bytes = 65'535;
  limits.inbound_bytes = 20'000;
  return limits;
}

void require(bool promise) {
  if (!promise) std::abort();
}

// Echoes every message; ends a call when the peer does, or after ten messages.
class Caller {
 public:
  explicit Caller(Session& session, Role role) : session_(session), role_(role) {}

  void handle(const Event& event) {
    if (event.kind == Kind::kRequest) {
      const auto head = session_.take_request(event.stream);
      require(head.method.size() <= small_limits().header_list_bytes);
      messages_[event.stream] = 0;
    }
    if (!messages_.contains(event.stream)) return;
    if (event.kind == Kind::kReadable || event.kind == Kind::kRequest) read(event.stream);
    if (event.kind == Kind::kClosed) end(event.stream);
  }
  void start() {
    const auto id = session_.start({.method = "t.Echo/Say"});
    if (!id) return;
    messages_[*id] = 0;
    session_.write(*id, "hello");
  }
  void end_all() {
    while (!messages_.empty()) end(messages_.begin()->first);
    require(role_ == Role::kClient || session_.call_count() <= 1000);
  }

 private:
  void read(StreamId id) {
    while (messages_.contains(id)) {
      std::string message;
      const auto next = session_.take(id, message);
      if (next == Next::kNotYet) return;
      if (next != Next::kMessage || ++messages_[id] > 10) {
        if (role_ == Role::kServer) {
          session_.finish(id, next ? Result<void>() : std::unexpected(next.error()), trailing_of(id));
        }
        return end(id);
      }
      require(message.size() <= small_limits().message_bytes);
      if (session_.unsent() < 100'000) session_.write(id, std::move(message));
    }
  }
  // With and without: a plain end takes another way.
  static Metadata trailing_of(StreamId id) { return id % 4 == 1 ? Metadata{} : Metadata{{"trailing", "x"}}; }
  void end(StreamId id) {
    if (role_ == Role::kClient) {
      require(!session_.was_refused(id) || !session_.status(id));
      (void)session_.status(id);
    }
    session_.release(id);
    messages_.erase(id);
  }

  Session& session_;
  Role role_;
  std::map<StreamId, int> messages_;
};

void play(Role role, std::size_t piece, std::span<const std::uint8_t> bytes) {
  Time now = Time() + std::chrono::hours(1);
  Session session(role, small_limits(), now);
  Caller caller(session, role);
  if (role == Role::kClient) {
    for (int i = 0; i < 3; ++i) caller.start();
  } else {
    constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    (void)session.receive({reinterpret_cast<const std::uint8_t*>(kPreface.data()), kPreface.size()}, now);
  }
  std::string output;
  bool is_alive = true;
  while (is_alive && !bytes.empty()) {
    const auto count = std::min(piece, bytes.size());
    now += std::chrono::milliseconds(1);
    is_alive = session.receive(bytes.first(count), now).has_value();
    bytes = bytes.subspan(count);
    while (session.has_events()) {
      for (const auto& event : session.take_events()) caller.handle(event);
    }
    output.clear();
    is_alive = session.collect(output, 1 << 20) && is_alive && !session.is_over();
    require(session.call_count() <= 10'000);
  }
  session.abandon({.code = Code::kUnavailable, .message = "the input ended"});
  for (const auto& event : session.take_events()) caller.handle(event);
  caller.end_all();
  require(session.call_count() == 0);
}

}  // namespace
}  // namespace berth::rpc::core

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using berth::rpc::core::Role;
  if (size < 2) return 0;
  const auto role = (data[0] & 0x80) != 0 ? Role::kClient : Role::kServer;
  const std::size_t piece = 1 + static_cast<std::size_t>(data[0] & 0x7F) * 8;
  berth::rpc::core::play(role, piece, {data + 1, size - 1});
  return 0;
}
