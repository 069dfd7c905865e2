#include "rpc/channel_call.h"

#include <utility>

namespace berth::rpc {
namespace {

constexpr std::uint32_t kHttp2Cancel = 8;

}  // namespace

ChannelCall::ChannelCall(std::shared_ptr<ChannelParts> channel, std::shared_ptr<ClientConnection> connection,
                         core::StreamId stream, Start how)
    : channel_(std::move(channel)),
      connection_(std::move(connection)),
      stream_(stream),
      start_(std::move(how)),
      readable_(channel_->executor),
      writable_(channel_->executor) {
  connection_->register_call(stream_, this);
  if (start_.deadline) set_alarm(*start_.deadline);
}

ChannelCall::~ChannelCall() {
  connection_->unregister_call(stream_);
  if (alarm_) channel_->deadlines.remove(*alarm_);
  session().release(stream_);
  connection_->link().flush_soon();
}

void ChannelCall::set_alarm(std::chrono::steady_clock::time_point when) {
  alarm_ = channel_->deadlines.add(when, [this] {
    alarm_.reset();
    const auto self = shared_from_this();
    end_with(
        {.code = Code::kDeadlineExceeded, .message = "the deadline passed", .reason = "DEADLINE_EXCEEDED"});
  });
}

void ChannelCall::end_with(Error error) {
  if (local_end_ || (is_closed_ && !may_start_again())) return;
  local_end_ = std::move(error);
  session().reset(stream_, kHttp2Cancel);
  connection_->link().flush_soon();
  readable_.notify_all();
  writable_.notify_all();
}

void ChannelCall::on_event(core::Event::Kind kind) {
  if (kind == core::Event::Kind::kClosed) is_closed_ = true;
  if (kind == core::Event::Kind::kWritable || is_closed_) writable_.notify_all();
  if (kind != core::Event::Kind::kWritable) readable_.notify_all();
}

Error ChannelCall::final_error() const {
  if (local_end_) return *local_end_;
  const auto status = session().status(stream_);
  return status ? Error{.code = Code::kFailedPrecondition, .message = "the server has already ended the call"}
                : status.error();
}

Result<Next> ChannelCall::take(std::string& message) {
  if (local_end_) return std::unexpected(*local_end_);
  auto next = session().take(stream_, message);
  if (!next) {
    if (may_start_again()) return Next::kNotYet;
    end_with(next.error());  // our own verdict, e.g. a message over the limit
  } else if (*next == Next::kMessage && session().wants_write()) {
    connection_->link().flush_soon();  // credit for the peer
  }
  return next;
}

Task<void> ChannelCall::wait_readable() {
  const auto self = shared_from_this();
  if (may_start_again()) co_return co_await start_again();
  co_return co_await readable_.wait();
}

Task<void> ChannelCall::start_again() {
  std::string request = *std::exchange(request_, std::nullopt);  // once is enough
  const auto connection = co_await channel_->acquire(start_.when_down, start_.deadline);
  if (!connection) co_return pass(connection);
  if (local_end_) co_return std::unexpected(*local_end_);
  auto& head = start_.head;
  head.authority = (*connection)->authority();
  if (start_.deadline) head.timeout = *start_.deadline - std::chrono::steady_clock::now();
  const auto stream = (*connection)->session().start(head);
  if (!stream) co_return pass(stream);
  connection_->unregister_call(stream_);
  session().release(stream_);
  connection_ = *connection;
  stream_ = *stream;
  is_closed_ = false;
  connection_->register_call(stream_, this);
  send_only(std::move(request));
  co_return Result<void>();
}

void ChannelCall::write_only(std::string message) {
  request_ = message;
  send_only(std::move(message));
}

void ChannelCall::send_only(std::string message) {
  session().write(stream_, std::move(message));
  session().half_close(stream_);
  // With whatever else is being said: should a GOAWAY be faster, the call starts again.
  connection_->link().flush_soon();
}

Result<void> ChannelCall::put(std::string message) {
  if (is_closed_ || local_end_) return std::unexpected(final_error());
  session().write(stream_, std::move(message));
  connection_->link().flush_soon();
  return {};
}

bool ChannelCall::is_full() const {
  return session().unsent(stream_) >= channel_->limits.write_ahead_bytes;
}

Task<void> ChannelCall::wait_writable() {
  const auto self = shared_from_this();
  auto woken = co_await writable_.wait();
  if (woken && local_end_) co_return std::unexpected(*local_end_);
  co_return woken;
}

void ChannelCall::writes_done() {
  session().half_close(stream_);
  connection_->link().flush_soon();
}

Task<void> ChannelCall::finish() {
  while (true) {
    const auto message = co_await read_bytes(shared_from_this());
    if (!message) co_return pass(message);
    if (!*message) co_return Result<void>();
  }
}

void ChannelCall::cancel() {
  end_with({.code = Code::kCancelled, .message = "cancelled by its caller"});
}

Task<Metadata> ChannelCall::initial_metadata() {
  const auto self = shared_from_this();
  while (!local_end_ && !session().has_headers(stream_) && (!is_closed_ || may_start_again())) {
    const auto woken = co_await wait_readable();
    if (!woken) co_return pass(woken);
  }
  co_return session().initial_metadata(stream_);
}

const Metadata& ChannelCall::trailing_metadata() const {
  return session().trailing_metadata(stream_);
}

}  // namespace berth::rpc
