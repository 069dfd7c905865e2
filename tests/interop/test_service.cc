#include "tests/interop/test_service.h"

#include "grpc/testing/empty.pb.h"
#include "grpc/testing/messages.pb.h"
#include "grpc/testing/test.pb.h"

#include <chrono>

namespace berth::test {
namespace {

using grpc::testing::EchoStatus;
using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using rpc::Context;
using rpc::Reader;
using rpc::Writer;

constexpr std::string_view kService = "grpc.testing.TestService/";

// test.proto has no messages of its own; without this nothing would pull its descriptor into the program.
[[gnu::used]] const auto* const kDescriptor = &::descriptor_table_grpc_2ftesting_2ftest_2eproto;

std::string method(std::string_view name) {
  return std::string(kService) + std::string(name);
}

void echo_metadata(Context& context) {
  for (const auto& [key, value] : context.metadata()) {
    if (key == "x-grpc-test-echo-initial") context.add_initial_metadata(key, value);
    if (key == "x-grpc-test-echo-trailing-bin") context.add_trailing_metadata(key, value);
  }
}

Result<void> wanted_status(const EchoStatus& status) {
  if (status.code() == 0) return {};
  return std::unexpected(Error{.code = static_cast<Code>(status.code()), .message = status.message()});
}

Task<Empty> empty_call(Context context, Empty) {
  echo_metadata(context);
  co_return Empty();
}

Task<SimpleResponse> unary_call(Context context, SimpleRequest request) {
  echo_metadata(context);
  if (const auto status = wanted_status(request.response_status()); !status) co_return pass(status);
  SimpleResponse response;
  response.mutable_payload()->set_body(std::string(static_cast<std::size_t>(request.response_size()), '\0'));
  co_return response;
}

Task<void> write_wanted(const StreamingOutputCallRequest& request,
                        const Writer<StreamingOutputCallResponse>& out) {
  for (const auto& wanted : request.response_parameters()) {
    if (wanted.interval_us() > 0) {
      const auto waited = co_await sleep_for(std::chrono::microseconds(wanted.interval_us()));
      if (!waited) co_return pass(waited);
    }
    StreamingOutputCallResponse response;
    response.mutable_payload()->set_body(std::string(static_cast<std::size_t>(wanted.size()), '\0'));
    const auto written = co_await out.write(response);
    if (!written) co_return pass(written);
  }
  co_return Result<void>();
}

Task<void> streaming_output_call(Context context, StreamingOutputCallRequest request,
                                 Writer<StreamingOutputCallResponse> out) {
  echo_metadata(context);
  const auto written = co_await write_wanted(request, out);
  if (!written) co_return pass(written);
  co_return wanted_status(request.response_status());
}

Task<StreamingInputCallResponse> streaming_input_call(Context, Reader<StreamingInputCallRequest> in) {
  StreamingInputCallResponse response;
  while (true) {
    const auto request = co_await in.read();
    if (!request) co_return pass(request);
    if (!*request) co_return response;
    const auto size = static_cast<int>((*request)->payload().body().size());
    response.set_aggregated_payload_size(response.aggregated_payload_size() + size);
  }
}

Task<void> full_duplex_call(Context context, Reader<StreamingOutputCallRequest> in,
                            Writer<StreamingOutputCallResponse> out) {
  echo_metadata(context);
  while (true) {
    const auto request = co_await in.read();
    if (!request) co_return pass(request);
    if (!*request) co_return Result<void>();
    if (const auto status = wanted_status((*request)->response_status()); !status) co_return pass(status);
    const auto written = co_await write_wanted(**request, out);
    if (!written) co_return pass(written);
  }
}

Task<void> half_duplex_call(Context context, Reader<StreamingOutputCallRequest> in,
                            Writer<StreamingOutputCallResponse> out) {
  echo_metadata(context);
  std::vector<StreamingOutputCallRequest> requests;
  while (true) {
    auto request = co_await in.read();
    if (!request) co_return pass(request);
    if (!*request) break;
    requests.push_back(**std::move(request));
  }
  for (const auto& request : requests) {
    const auto written = co_await write_wanted(request, out);
    if (!written) co_return pass(written);
  }
  co_return Result<void>();
}

}  // namespace

void add_test_service(rpc::Server& server) {
  server.unary<Empty, Empty>(method("EmptyCall"), empty_call);
  server.unary<SimpleRequest, SimpleResponse>(method("UnaryCall"), unary_call);
  server.unary<SimpleRequest, SimpleResponse>(method("CacheableUnaryCall"), unary_call);
  server.server_stream<StreamingOutputCallRequest, StreamingOutputCallResponse>(method("StreamingOutputCall"),
                                                                                streaming_output_call);
  server.client_stream<StreamingInputCallRequest, StreamingInputCallResponse>(method("StreamingInputCall"),
                                                                              streaming_input_call);
  server.bidi<StreamingOutputCallRequest, StreamingOutputCallResponse>(method("FullDuplexCall"),
                                                                       full_duplex_call);
  server.bidi<StreamingOutputCallRequest, StreamingOutputCallResponse>(method("HalfDuplexCall"),
                                                                       half_duplex_call);
}

}  // namespace berth::test
