// Protobuf messages to bytes and back, for the typed streams; and the one-message rules of unary calls.
#include "rpc/client_stream.h"
#include "rpc/method.h"
#include "rpc/stream.h"

#include <limits>

#include <google/protobuf/message_lite.h>

namespace berth::rpc {

Result<void> parse_message(google::protobuf::MessageLite& message, const std::string& bytes) {
  if (message.ParseFromString(bytes)) return {};
  return fail(Code::kInvalidArgument, "MALFORMED_MESSAGE", "the bytes are not a " + message.GetTypeName());
}

Result<std::string> serialize_message(const google::protobuf::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  if (size > std::numeric_limits<std::int32_t>::max()) {
    return fail(Code::kResourceExhausted, "MESSAGE_TOO_LARGE", message.GetTypeName() + " exceeds 2 GiB");
  }
  std::string bytes;
  bytes.resize(size);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(bytes.data()));
  return bytes;
}

Task<std::optional<std::string>> read_bytes(std::shared_ptr<ByteStream> stream) {
  std::string message;
  while (true) {
    const auto next = stream->take(message);
    if (!next) co_return pass(next);
    if (*next == Next::kMessage) co_return message;
    if (*next == Next::kEnd) co_return std::optional<std::string>();
    const auto woken = co_await stream->wait_readable();
    if (!woken) co_return pass(woken);
  }
}

Task<void> wait_for_room(std::shared_ptr<ByteStream> stream) {
  while (stream->is_full()) {
    const auto woken = co_await stream->wait_writable();
    if (!woken) co_return pass(woken);
  }
  co_return Result<void>();
}

namespace {

// What is said when the one message of a stream is missing, or not the only one.
struct OnlyMessage {
  Code code;
  const char* missing;
  const char* extra;
};

// One coroutine for both looks at the stream: every unary call comes here.
Task<std::string> read_only(std::shared_ptr<ByteStream> stream, OnlyMessage rule) {
  std::string only;
  std::string surplus;
  bool has_one = false;
  while (true) {
    const auto next = stream->take(has_one ? surplus : only);
    if (!next) co_return pass(next);
    if (*next == Next::kEnd) {
      if (!has_one) co_return fail(rule.code, "MESSAGE_MISSING", rule.missing);
      co_return only;
    }
    if (*next == Next::kMessage) {
      if (has_one) co_return fail(rule.code, "EXTRA_MESSAGE", rule.extra);
      has_one = true;
      continue;
    }
    const auto woken = co_await stream->wait_readable();
    if (!woken) co_return pass(woken);
  }
}

}  // namespace

Task<std::string> read_only_message(std::shared_ptr<ByteStream> stream) {
  return read_only(std::move(stream), {.code = Code::kInvalidArgument,
                                       .missing = "the call has no request message",
                                       .extra = "the call has a second request message"});
}

Task<std::string> read_only_reply(std::shared_ptr<ClientCall> call) {
  return read_only(std::move(call), {.code = Code::kInternal,
                                     .missing = "status OK without a reply message",
                                     .extra = "the call has a second reply message"});
}

}  // namespace berth::rpc
