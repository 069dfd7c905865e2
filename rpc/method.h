// Turns typed handlers into the one shape the server knows: bytes in, bytes out.
#pragma once

#include "base/task.h"
#include "rpc/context.h"
#include "rpc/stream.h"

#include <functional>
#include <memory>
#include <utility>

namespace google::protobuf {
class Descriptor;
}

namespace berth::rpc {

enum class StreamKind { kUnary, kServer, kClient, kBidi };

// What a handler claims about its method; checked against the linked .proto descriptors.
struct MethodShape {
  StreamKind kind;
  const google::protobuf::Descriptor* request;
  const google::protobuf::Descriptor* response;
};

// LIFETIME: the server keeps the function (and so a lambda's captures) until every call has ended.
using RawHandler = std::function<Task<void>(Context, std::shared_ptr<ByteStream>)>;

// The only request of a unary or server-streaming call, already checked to be the only one.
Task<std::string> read_only_message(std::shared_ptr<ByteStream> stream);

template <typename Req, typename Resp>
RawHandler unary_handler(std::function<Task<Resp>(Context, Req)> handler) {
  return [handler = std::move(handler)](Context context, std::shared_ptr<ByteStream> stream) -> Task<void> {
    const auto bytes = co_await read_only_message(stream);
    if (!bytes) co_return pass(bytes);
    Req request;
    if (const auto parsed = parse_message(request, *bytes); !parsed) co_return pass(parsed);
    const auto response = co_await handler(std::move(context), std::move(request));
    if (!response) co_return pass(response);
    auto reply = serialize_message(*response);
    if (!reply) co_return pass(reply);
    const auto queued = stream->put(*std::move(reply));
    if (!queued || !stream->is_full()) co_return queued;
    co_return co_await wait_for_room(stream);
  };
}

template <typename Req, typename Resp>
RawHandler server_stream_handler(std::function<Task<void>(Context, Req, Writer<Resp>)> handler) {
  return [handler = std::move(handler)](Context context, std::shared_ptr<ByteStream> stream) -> Task<void> {
    const auto bytes = co_await read_only_message(stream);
    if (!bytes) co_return pass(bytes);
    Req request;
    if (const auto parsed = parse_message(request, *bytes); !parsed) co_return pass(parsed);
    co_return co_await handler(std::move(context), std::move(request), Writer<Resp>(stream));
  };
}

template <typename Req, typename Resp>
RawHandler client_stream_handler(std::function<Task<Resp>(Context, Reader<Req>)> handler) {
  return [handler = std::move(handler)](Context context, std::shared_ptr<ByteStream> stream) -> Task<void> {
    const auto response = co_await handler(std::move(context), Reader<Req>(stream));
    if (!response) co_return pass(response);
    auto reply = serialize_message(*response);
    if (!reply) co_return pass(reply);
    const auto queued = stream->put(*std::move(reply));
    if (!queued || !stream->is_full()) co_return queued;
    co_return co_await wait_for_room(stream);
  };
}

template <typename Req, typename Resp>
RawHandler bidi_handler(std::function<Task<void>(Context, Reader<Req>, Writer<Resp>)> handler) {
  return [handler = std::move(handler)](Context context, std::shared_ptr<ByteStream> stream) -> Task<void> {
    co_return co_await handler(std::move(context), Reader<Req>(stream), Writer<Resp>(stream));
  };
}

}  // namespace berth::rpc
