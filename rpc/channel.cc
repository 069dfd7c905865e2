#include "rpc/channel.h"

#include "base/task_group.h"
#include "rpc/channel_call.h"
#include "rpc/client_connection.h"
#include "rpc/connector.h"
#include "rpc/core/backoff.h"

#include <random>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

namespace berth::rpc {

// The channel's states:
//   idle --a call--> connecting --up--> up --lost--> idle
//                    connecting --all endpoints failed--> backing off --delay--> connecting, while
//                                                         somebody waits; else idle
class Channel::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, ChannelOptions options)
      : options_(std::move(options)),
        parts_(std::make_shared<ChannelParts>(executor, options_.limits)),
        backoff_(options_.backoff_first, options_.backoff_max),
        jitter_(std::random_device{}()) {}

  // To be called once, before anything else.
  void init();
  Task<std::shared_ptr<ChannelCall>> start(std::string method, CallOptions options);
  Result<void> reload_tls();
  void shut_down();
  asio::awaitable<void> join();

 private:
  // A connection that takes calls.
  Task<std::shared_ptr<ClientConnection>> acquire(WhenDown when_down, CallDeadline deadline);
  static Task<std::shared_ptr<ClientConnection>> acquire_from(std::weak_ptr<Impl> weak, WhenDown when_down,
                                                              CallDeadline deadline);
  void ensure_connecting();
  asio::awaitable<void> stay_connected();
  asio::awaitable<bool> try_endpoints();
  Task<std::shared_ptr<ClientConnection>> connect(const std::string& text);
  Task<net::Fd> open_socket(net::Endpoint endpoint);
  asio::awaitable<void> wait_until_up(std::shared_ptr<ClientConnection> connection);
  core::RequestHead head_of(std::string method, std::string authority, const CallOptions& options,
                            CallDeadline deadline) const;

  ChannelOptions options_;
  std::shared_ptr<ChannelParts> parts_;
  core::Backoff backoff_;
  std::minstd_rand jitter_;
  std::shared_ptr<const net::TlsContext> tls_;
  std::shared_ptr<ClientConnection> connection_;
  asio::cancellation_signal stop_;
  bool is_running_ = false;  // stay_connected()
  bool is_shut_down_ = false;
  int waiting_ = 0;  // calls in acquire()
  std::uint64_t failures_ = 0;
  Error last_failure_;
  bool is_backing_off_ = false;
};

void Channel::Impl::init() {
  parts_->acquire = [weak = weak_from_this()](WhenDown when_down, CallDeadline deadline) {
    return acquire_from(weak, when_down, deadline);
  };
}

Task<std::shared_ptr<ClientConnection>> Channel::Impl::acquire_from(std::weak_ptr<Impl> weak,
                                                                    WhenDown when_down,
                                                                    CallDeadline deadline) {
  const auto self = weak.lock();
  if (!self) co_return fail(Code::kCancelled, "CHANNEL_CLOSED", "the channel is closed");
  co_return co_await self->acquire(when_down, deadline);
}

Task<std::shared_ptr<ChannelCall>> Channel::Impl::start(std::string method, CallOptions options) {
  const auto self = shared_from_this();
  CallDeadline deadline;
  if (options.timeout) deadline = std::chrono::steady_clock::now() + *options.timeout;
  const auto connection = co_await acquire(options.when_down, deadline);
  if (!connection) co_return pass(connection);
  auto head = head_of(std::move(method), (*connection)->authority(), options, deadline);
  const auto stream = (*connection)->session().start(head);
  if (!stream) co_return pass(stream);
  ChannelCall::Start how{.head = std::move(head), .deadline = deadline, .when_down = options.when_down};
  co_return std::make_shared<ChannelCall>(parts_, *connection, *stream, std::move(how));
}

core::RequestHead Channel::Impl::head_of(std::string method, std::string authority,
                                         const CallOptions& options, CallDeadline deadline) const {
  core::RequestHead head;
  head.method = std::move(method);
  if (deadline) head.timeout = *deadline - std::chrono::steady_clock::now();
  head.metadata = options.metadata;
  head.authority = std::move(authority);
  head.user_agent = options_.user_agent;
  return head;
}

Task<std::shared_ptr<ClientConnection>> Channel::Impl::acquire(WhenDown when_down, CallDeadline deadline) {
  struct Count {
    explicit Count(int& counter) : count(counter) { ++count; }
    ~Count() { --count; }
    int& count;
  };
  const auto failures_before = failures_;
  std::optional<Count> waiting;
  while (true) {
    if (is_shut_down_) co_return fail(Code::kCancelled, "CHANNEL_CLOSED", "the channel is closed");
    if (connection_ && connection_->takes_calls()) co_return connection_;
    if (when_down == WhenDown::kFail && (is_backing_off_ || failures_ != failures_before)) {
      co_return std::unexpected(last_failure_);
    }
    if (deadline && std::chrono::steady_clock::now() >= *deadline) {
      co_return fail(Code::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                     failures_ == 0 ? "the deadline passed while connecting"
                                    : "the deadline passed while connecting; last: " + last_failure_.message);
    }
    if (!waiting) waiting.emplace(waiting_);
    ensure_connecting();
    std::optional<Deadlines::Handle> alarm;
    bool rang = false;
    if (deadline) {
      alarm = parts_->deadlines.add(*deadline, [&] {
        rang = true;
        parts_->changed.notify_all();
      });
    }
    const auto woken = co_await parts_->changed.wait();
    if (alarm && !rang) parts_->deadlines.remove(*alarm);
    if (!woken) co_return fail(Code::kCancelled, "", "cancelled while connecting");
  }
}

void Channel::Impl::ensure_connecting() {
  if (is_running_ || is_shut_down_) return;
  is_running_ = true;
  // The completion holds the Impl, so it outlives the coroutine.
  auto ended = [self = shared_from_this()](const std::exception_ptr&) {
    self->is_running_ = false;
    self->is_backing_off_ = false;
    self->parts_->changed.notify_all();  // join(), or a call that came too late to be seen
  };
  asio::co_spawn(parts_->executor, stay_connected(),
                 asio::bind_cancellation_slot(stop_.slot(), std::move(ended)));
}

asio::awaitable<void> Channel::Impl::stay_connected() {
  while (!is_shut_down_) {
    const bool is_up = co_await try_endpoints();
    if (is_up) {
      backoff_.reset();
      // Lost, or leaving after a GOAWAY: the old connection ends by itself, its calls go on.
      while (connection_->takes_calls()) (void)co_await parts_->changed.wait();
      if (waiting_ == 0) co_return;
      continue;
    }
    ++failures_;
    is_backing_off_ = true;
    parts_->changed.notify_all();
    const auto delay = backoff_.next(std::uniform_real_distribution<double>(0, 1)(jitter_));
    const auto slept = co_await sleep_for(delay);
    is_backing_off_ = false;
    if (!slept || waiting_ == 0) co_return;
  }
}

asio::awaitable<bool> Channel::Impl::try_endpoints() {
  last_failure_ = {.code = Code::kInvalidArgument, .message = "the channel has no endpoints"};
  for (const auto& text : options_.endpoints) {
    auto connection = co_await connect(text);
    if (connection) {
      connection_ = *std::move(connection);
      parts_->changed.notify_all();
      co_return true;
    }
    last_failure_ = connection.error().in(fmt::format("connect to {}", text));
    if (is_shut_down_) break;
  }
  co_return false;
}

Task<std::shared_ptr<ClientConnection>> Channel::Impl::connect(const std::string& text) {
  if (!tls_) {
    if (auto loaded = reload_tls(); !loaded) co_return pass(loaded);
  }
  const auto endpoint = net::parse_endpoint(text);
  if (!endpoint) co_return pass(endpoint);
  auto socket = co_await with_deadline(options_.connect_timeout, open_socket(*endpoint));
  if (!socket) {
    if (socket.error().code != Code::kDeadlineExceeded) co_return pass(socket);
    co_return fail(Code::kUnavailable, "CONNECT_TIMEOUT", "no connection in time");
  }
  std::string server_name = options_.server_name;
  if (server_name.empty() && !endpoint->is_unix) server_name = endpoint->host;
  if (server_name.empty()) {
    co_return fail(Code::kInvalidArgument, "NO_SERVER_NAME",
                   "a unix endpoint needs ChannelOptions::server_name");
  }
  auto connection = std::make_shared<ClientConnection>(parts_, *std::move(socket), tls_, server_name,
                                                       endpoint->is_unix ? server_name : text);
  // LIFETIME: the completion keeps the connection and the Impl until run() has ended.
  auto ended = [self = shared_from_this(), connection](const std::exception_ptr&) {
    self->parts_->changed.notify_all();
  };
  asio::co_spawn(parts_->executor, connection->run(), std::move(ended));
  co_await wait_until_up(connection);
  if (connection->takes_calls()) co_return connection;
  connection->close({.code = Code::kUnavailable, .message = "not up in time", .reason = "CONNECT_TIMEOUT"});
  auto why = connection->end();
  if (why.code != Code::kInvalidArgument) why.code = Code::kUnavailable;
  co_return std::unexpected(why);
}

Task<net::Fd> Channel::Impl::open_socket(net::Endpoint endpoint) {
  return connect_to(std::move(endpoint));
}

// Link itself gives up after Limits::handshake.
asio::awaitable<void> Channel::Impl::wait_until_up(std::shared_ptr<ClientConnection> connection) {
  while (!connection->takes_calls() && !connection->link().is_over() && !is_shut_down_) {
    (void)co_await parts_->changed.wait();
  }
}

Result<void> Channel::Impl::reload_tls() {
  auto loaded = net::TlsContext::load(options_.tls, core::Role::kClient);
  if (!loaded) return pass(loaded);
  tls_ = *std::move(loaded);
  return {};
}

void Channel::Impl::shut_down() {
  if (is_shut_down_) return;
  is_shut_down_ = true;
  if (connection_) connection_->close({.code = Code::kCancelled, .message = "the channel is closed"});
  stop_.emit(asio::cancellation_type::terminal);
  parts_->changed.notify_all();
}

asio::awaitable<void> Channel::Impl::join() {
  const auto self = shared_from_this();
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (is_running_) (void)co_await parts_->changed.wait();
}

Channel::Channel(asio::any_io_executor executor, ChannelOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {
  impl_->init();
}
Channel::~Channel() {
  impl_->shut_down();
}

Result<void> Channel::reload_tls() {
  return impl_->reload_tls();
}
asio::awaitable<void> Channel::close() {
  impl_->shut_down();
  return impl_->join();
}

Task<std::shared_ptr<ClientCall>> Channel::start(std::string method, CallOptions options) {
  const auto impl = impl_;
  const auto call = co_await impl->start(std::move(method), std::move(options));
  if (!call) co_return pass(call);
  (*call)->send_head();
  co_return *call;
}

Task<std::shared_ptr<ClientCall>> Channel::start_with(std::string method, std::string request,
                                                      CallOptions options) {
  const auto impl = impl_;
  const auto call = co_await impl->start(std::move(method), std::move(options));
  if (!call) co_return pass(call);
  (*call)->write_only(std::move(request));
  co_return *call;
}

}  // namespace berth::rpc
