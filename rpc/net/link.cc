#include "rpc/net/link.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace berth::rpc::net {
namespace {

constexpr std::size_t kFirstReadBytes = 2048;  // held by an idle connection
constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr int kReadsInARow = 8;  // before others get their turn
constexpr std::size_t kRecordBytes = 16 * 1024;
constexpr std::size_t kFlushBytes = 64 * 1024;  // handed to the kernel at a time
constexpr std::size_t kKeptCapacity = 1024;
constexpr std::chrono::milliseconds kRestAfter(250);

// One thread runs an io_context, and neither buffer is in use across an await.
thread_local std::array<std::uint8_t, kScratchBytes> received;
thread_local std::array<std::uint8_t, kRecordBytes> decrypted;
thread_local std::string frames;
// A buffer for ciphertext, lent to the connection that sends: an idle one keeps none, and a busy one
// does not allocate.
thread_local std::string spare_output;

core::Time now() {
  return std::chrono::steady_clock::now();
}

double jitter() {
  thread_local std::minstd_rand generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

Error lost(int error) {
  return {.code = Code::kUnavailable,
          .message = error == 0 ? "the peer closed the connection"
                                : fmt::format("connection lost: {}", std::strerror(error)),
          .reason = "CONNECTION_LOST"};
}

}  // namespace

Link::Link(Parts parts, LinkOwner& owner)
    : executor_(parts.executor),
      engine_(std::move(parts.engine)),
      session_(parts.role, parts.limits, now()),
      lifetime_(parts.role, parts.limits, now(), jitter()),
      socket_(parts.executor, parts.socket.release()),
      owner_(owner),
      deadlines_(parts.deadlines) {}

Link::~Link() = default;

asio::awaitable<void> Link::run() {
  const auto self = shared_from_this();
  set_alarm();
  (void)take_plaintext();  // a client's hello
  update();
  std::array<std::uint8_t, kFirstReadBytes> first;
  while (!over_) {
    const auto [error, count] = co_await socket_.async_read_some(asio::buffer(first), kAsTuple);
    if (over_) break;
    if (error) {
      close(error == asio::error::eof ? lost(0) : lost(error.value()));
      break;
    }
    lifetime_.on_received(now());
    is_resting_ = false;
    if (!rest_alarm_) watch_rest();
    if (receive({first.data(), count}) && count == first.size()) (void)receive_more();
    update();
  }
  if (alarm_) deadlines_.remove(*std::exchange(alarm_, std::nullopt));
  if (rest_alarm_) deadlines_.remove(*std::exchange(rest_alarm_, std::nullopt));
}

// Frees the engine's buffers when nothing has come for a while.
void Link::watch_rest() {
  is_resting_ = true;
  rest_alarm_ = deadlines_.add(now() + kRestAfter, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->rest_alarm_.reset();
    if (!self->is_resting_) return self->watch_rest();
    self->engine_->free_buffers();
  });
}

bool Link::receive(std::span<const std::uint8_t> ciphertext) {
  engine_->feed(ciphertext);
  return take_plaintext();
}

// The first read was full: takes what else has come, without a trip through the reactor.
bool Link::receive_more() {
  for (int i = 0; i < kReadsInARow; ++i) {
    const auto count = receive_some(socket_.native_handle(), received);
    if (count <= 0) return true;  // the next async_read_some reports errors and the end
    if (!receive({received.data(), static_cast<std::size_t>(count)})) return false;
    if (static_cast<std::size_t>(count) < received.size()) return true;
  }
  return true;
}

// False when the connection is over.
bool Link::take_plaintext() {
  while (!over_) {
    const auto count = engine_->read(decrypted);
    if (!count) {
      close(count.error());
      return false;
    }
    if (!is_secure_ && engine_->is_established()) {
      is_secure_ = true;
      Peer peer = engine_->peer();
      peer.address = peer_address(socket_.native_handle()).str();
      owner_.on_secure(std::move(peer));
    }
    if (*count == 0) {
      if (!engine_->is_closed()) return true;
      close(lost(0));
      return false;
    }
    const auto taken = session_.receive({decrypted.data(), *count}, now());
    if (!taken) {
      close(taken.error());
      return false;
    }
  }
  return false;
}

void Link::dispatch_events() {
  for (auto events = session_.take_events(); !events.empty(); events = session_.take_events()) {
    for (const auto& event : events) {
      if (event.kind == core::Event::Kind::kPong) {
        on_pong();
      } else {
        if (event.kind == core::Event::Kind::kReady) lifetime_.on_ready(now());
        owner_.on_event(event);
      }
    }
  }
}

void Link::update() {
  if (is_updating_) return;
  is_updating_ = true;
  const auto self = shared_from_this();
  do {
    dispatch_events();
    flush();
  } while (session_.has_events());
  lifetime_.on_call_count(session_.call_count(), now());
  is_updating_ = false;
  set_alarm();
}

void Link::flush() {
  if (is_waiting_writable_ || !socket_.is_open()) return;
  std::string& output = engine_->output();
  if (output.empty()) output.swap(spare_output);
  while (true) {
    while (is_secure_ && !over_ && output.size() < kFlushBytes && session_.wants_write()) {
      frames.clear();
      const auto collected = session_.collect(frames, kRecordBytes);
      const auto written = collected && !frames.empty() ? engine_->write(frames) : collected;
      if (!written) {
        close(written.error());
        return;
      }
      if (frames.empty()) break;
    }
    while (sent_ < output.size()) {
      const auto count = send_some(socket_.native_handle(), std::string_view(output).substr(sent_));
      if (count == -EAGAIN) {
        wait_writable();
        return;
      }
      if (count < 0) {
        close(lost(static_cast<int>(-count)));
        return;
      }
      sent_ += static_cast<std::size_t>(count);
    }
    const bool was_full = output.size() >= kFlushBytes;
    output.clear();
    sent_ = 0;
    if (!was_full) break;
  }
  if (spare_output.capacity() < output.capacity()) output.swap(spare_output);
  if (output.capacity() > kKeptCapacity) output.shrink_to_fit();
  if (!over_ && is_secure_ && session_.is_over()) close(lost(0));
}

void Link::wait_writable() {
  is_waiting_writable_ = true;
  socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->is_waiting_writable_ = false;
                       if (!error && !self->over_) self->update();
                     });
}

void Link::flush_soon() {
  if (is_updating_ || is_flush_posted_ || over_ || is_waiting_writable_) return;
  is_flush_posted_ = true;
  asio::post(executor_, [self = shared_from_this()] {
    self->is_flush_posted_ = false;
    if (!self->over_) self->update();
  });
}

void Link::flush_now() {
  if (!over_) update();
}

void Link::drain() {
  if (over_ || drain_ != Drain::kNo) return;
  if (!is_secure_) {
    close({.code = Code::kUnavailable, .message = "shutting down"});
    return;
  }
  drain_ = Drain::kAnnounced;
  session_.announce_shutdown();
  session_.ping();  // its answer says that the peer has seen the announcement
  flush_soon();
}

void Link::on_pong() {
  if (drain_ != Drain::kAnnounced) return;
  drain_ = Drain::kFinal;
  session_.shut_down();
}

void Link::close(Error reason) {
  if (over_) return;
  over_ = std::move(reason);
  const auto self = shared_from_this();
  session_.abandon(*over_);
  dispatch_events();
  finish_closing();
  owner_.on_over(*over_);
}

// The last words, as far as the socket takes them without waiting.
void Link::finish_closing() {
  frames.clear();
  if (is_secure_ && session_.collect(frames, kRecordBytes) && !frames.empty()) (void)engine_->write(frames);
  engine_->send_close_notify();
  const auto rest = std::string_view(engine_->output()).substr(sent_);
  if (!rest.empty()) (void)send_some(socket_.native_handle(), rest);
  engine_->output() = {};
  sent_ = 0;
  ::shutdown(socket_.native_handle(), SHUT_WR);
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Link::set_alarm() {
  const auto when = lifetime_.next();
  // An alarm that rings early only sets the next one.
  if (over_ || (alarm_ && (*alarm_)->first <= when)) return;
  if (alarm_) deadlines_.remove(*std::exchange(alarm_, std::nullopt));
  if (when == core::Time::max()) return;
  alarm_ = deadlines_.add(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_alarm();
  });
}

void Link::on_alarm() {
  alarm_.reset();
  if (over_) return;
  auto verdict = lifetime_.check(now());
  switch (verdict.action) {
    case core::Lifetime::Action::kNone:
      break;
    case core::Lifetime::Action::kPing:
      session_.ping();
      break;
    case core::Lifetime::Action::kDrain:
      drain();
      break;
    case core::Lifetime::Action::kClose:
      close(std::move(verdict.reason));
      return;
  }
  update();
}

}  // namespace berth::rpc::net
