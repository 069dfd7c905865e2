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

Task<std::string> read_only_message(std::shared_ptr<ByteStream> stream) {
  auto first = co_await stream->read();
  if (!first) co_return pass(first);
  if (!*first) co_return fail(Code::kInvalidArgument, "MESSAGE_MISSING", "the call has no request message");
  const auto second = co_await stream->read();
  if (!second) co_return pass(second);
  if (*second)
    co_return fail(Code::kInvalidArgument, "EXTRA_MESSAGE", "the call has a second request message");
  co_return **std::move(first);
}

Task<std::string> read_only_reply(std::shared_ptr<ClientCall> call) {
  auto reply = co_await call->read();
  if (!reply) co_return pass(reply);
  if (!*reply) co_return fail(Code::kInternal, "MESSAGE_MISSING", "status OK without a reply message");
  const auto end = co_await call->read();
  if (!end) co_return pass(end);
  if (*end) co_return fail(Code::kInternal, "EXTRA_MESSAGE", "the call has a second reply message");
  co_return **std::move(reply);
}

}  // namespace berth::rpc
