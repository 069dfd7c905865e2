#include "rpc/channel_call.h"

#include <utility>

namespace berth::rpc {
namespace {

constexpr std::uint32_t kHttp2Cancel = 8;

std::unexpected<Error> cancelled() {
  return fail(Code::kCancelled, "", "the call was cancelled");
}

}  // namespace

ChannelCall::ChannelCall(std::shared_ptr<ChannelParts> channel, std::shared_ptr<ClientConnection> connection,
                         core::StreamId stream)
    : channel_(std::move(channel)),
      connection_(std::move(connection)),
      stream_(stream),
      readable_(channel_->executor),
      writable_(channel_->executor) {
  connection_->register_call(stream_, this);
}

ChannelCall::~ChannelCall() {
  connection_->unregister_call(stream_);
  if (deadline_) channel_->deadlines.remove(*deadline_);
  session().release(stream_);
  connection_->link().flush_soon();
}

void ChannelCall::set_deadline(std::chrono::steady_clock::time_point when) {
  deadline_ = channel_->deadlines.add(when, [this] {
    deadline_.reset();
    const auto self = shared_from_this();
    end_with(
        {.code = Code::kDeadlineExceeded, .message = "the deadline passed", .reason = "DEADLINE_EXCEEDED"});
  });
}

void ChannelCall::end_with(Error error) {
  if (is_closed_ || local_end_) return;
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

Task<std::optional<std::string>> ChannelCall::read() {
  const auto self = shared_from_this();
  while (true) {
    if (auto next = try_read()) co_return *std::move(next);
    const auto woken = co_await readable_.wait();
    if (!woken) co_return cancelled();
  }
}

std::optional<Result<std::optional<std::string>>> ChannelCall::try_read() {
  using Kind = core::ReadResult::Kind;
  if (local_end_) return std::unexpected(*local_end_);
  auto next = session().read(stream_);
  switch (next.kind) {
    case Kind::kMessage:
      if (session().wants_write()) connection_->link().flush_soon();  // credit for the peer
      return std::optional(std::move(next.message));
    case Kind::kEnd:
      return Result<std::optional<std::string>>(std::nullopt);
    case Kind::kFailed:
      end_with(next.error);  // our own verdict, e.g. a message over the limit
      return std::unexpected(std::move(next.error));
    case Kind::kNotYet:
      break;
  }
  return std::nullopt;
}

void ChannelCall::write_only(std::string message) {
  session().write(stream_, std::move(message));
  session().half_close(stream_);
  connection_->link().flush_now();
}

Task<void> ChannelCall::write(std::string message) {
  const auto self = shared_from_this();
  if (is_closed_ || local_end_) co_return std::unexpected(final_error());
  session().write(stream_, std::move(message));
  connection_->link().flush_soon();
  while (session().unsent(stream_) >= channel_->limits.write_ahead_bytes) {
    const auto woken = co_await writable_.wait();
    if (!woken) co_return cancelled();
    if (local_end_) co_return std::unexpected(*local_end_);
  }
  co_return Result<void>();
}

void ChannelCall::writes_done() {
  session().half_close(stream_);
  connection_->link().flush_soon();
}

Task<void> ChannelCall::finish() {
  while (true) {
    const auto message = co_await read();
    if (!message) co_return pass(message);
    if (!*message) co_return Result<void>();
  }
}

void ChannelCall::cancel() {
  end_with({.code = Code::kCancelled, .message = "cancelled by its caller"});
}

Task<Metadata> ChannelCall::initial_metadata() {
  const auto self = shared_from_this();
  while (!is_closed_ && !local_end_ && !session().has_headers(stream_)) {
    const auto woken = co_await readable_.wait();
    if (!woken) co_return cancelled();
  }
  co_return session().initial_metadata(stream_);
}

const Metadata& ChannelCall::trailing_metadata() const {
  return session().trailing_metadata(stream_);
}

}  // namespace berth::rpc
