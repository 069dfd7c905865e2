#include "tests/interop/echo_service.h"

#include "tests/interop/echo.pb.h"

#include <chrono>

namespace berth::test {
namespace {

using rpc::Context;
using rpc::Reader;
using rpc::Writer;

struct Span {
  explicit Span(EchoCounts& of) : counts(of) { ++counts.started; }
  ~Span() {
    ++counts.ended;
    if (is_cancelled) ++counts.cancelled;
  }
  EchoCounts& counts;
  bool is_cancelled = true;  // until proven otherwise: a cancelled coroutine is simply destroyed
};

EchoReply reply_to(const EchoRequest& request, std::uint32_t number) {
  EchoReply reply;
  reply.set_text(request.text());
  reply.set_number(number);
  reply.set_padding(std::string(request.reply_bytes(), 'p'));
  return reply;
}

Error failure_of(const EchoRequest& request) {
  return {.code = static_cast<Code>(request.fail_code()),
          .message = "as you wished: 50% of ü",
          .reason = "ON_REQUEST",
          .violations = {{.field = "fail_code", .description = "is not zero"}},
          .metadata = {{"text", request.text()}}};
}

void echo_metadata(Context context) {
  for (const auto& [key, value] : context.metadata()) {
    if (key.starts_with("echo-initial")) context.add_initial_metadata(key, value);
    if (key.starts_with("echo-trailing")) context.add_trailing_metadata(key, value);
  }
}

Task<EchoReply> say(EchoCounts& counts, Context context, EchoRequest request) {
  Span span(counts);
  echo_metadata(context);
  if (request.count() > 0) {
    const auto waited = co_await sleep_for(std::chrono::milliseconds(request.count()));
    if (!waited) co_return pass(waited);
  }
  span.is_cancelled = false;
  if (request.fail_code() != 0) co_return std::unexpected(failure_of(request));
  co_return reply_to(request, 0);
}

Task<void> count(EchoCounts& counts, Context context, EchoRequest request, Writer<EchoReply> replies) {
  Span span(counts);
  echo_metadata(context);
  for (std::uint32_t i = 0; i < request.count(); ++i) {
    const auto written = co_await replies.write(reply_to(request, i));
    if (!written) {
      span.is_cancelled = written.error().code == Code::kCancelled;
      co_return pass(written);
    }
    ++counts.replies;
  }
  span.is_cancelled = false;
  if (request.fail_code() != 0) co_return std::unexpected(failure_of(request));
  co_return Result<void>();
}

Task<EchoReply> join(EchoCounts& counts, Context, Reader<EchoRequest> requests) {
  Span span(counts);
  EchoReply reply;
  while (true) {
    const auto request = co_await requests.read();
    if (!request) co_return pass(request);
    if (!*request) break;
    reply.mutable_text()->append((*request)->text());
    reply.set_number(reply.number() + 1);
  }
  span.is_cancelled = false;
  co_return reply;
}

Task<void> chat(EchoCounts& counts, Context context, Reader<EchoRequest> requests,
                Writer<EchoReply> replies) {
  Span span(counts);
  echo_metadata(context);
  for (std::uint32_t number = 0;; ++number) {
    const auto request = co_await requests.read();
    if (!request) co_return pass(request);
    if (!*request) break;
    if ((*request)->fail_code() != 0) {
      span.is_cancelled = false;
      co_return std::unexpected(failure_of(**request));
    }
    const auto written = co_await replies.write(reply_to(**request, number));
    if (!written) co_return pass(written);
  }
  span.is_cancelled = false;
  co_return Result<void>();
}

}  // namespace

void add_echo_service(rpc::Server& server, EchoCounts& counts) {
  server.unary<EchoRequest, EchoReply>("berth.test.Echo/Say", [&](Context c, EchoRequest r) {
    return say(counts, std::move(c), std::move(r));
  });
  server.server_stream<EchoRequest, EchoReply>(
      "berth.test.Echo/Count", [&](Context c, EchoRequest r, Writer<EchoReply> w) {
        return count(counts, std::move(c), std::move(r), std::move(w));
      });
  server.client_stream<EchoRequest, EchoReply>("berth.test.Echo/Join", [&](Context c, Reader<EchoRequest> r) {
    return join(counts, std::move(c), std::move(r));
  });
  server.bidi<EchoRequest, EchoReply>("berth.test.Echo/Chat",
                                      [&](Context c, Reader<EchoRequest> r, Writer<EchoReply> w) {
                                        return chat(counts, std::move(c), std::move(r), std::move(w));
                                      });
}

}  // namespace berth::test
