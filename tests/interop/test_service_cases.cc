#include "grpc/testing/test.grpc.pb.h"
#include "tests/interop/test_service_client.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <grpcpp/grpcpp.h>
#include <string>
#include <thread>
#include <vector>

namespace berth::test {
namespace {

using namespace grpc::testing;
using grpc::ClientContext;
using grpc::StatusCode;
using Stub = TestService::Stub;

constexpr std::array kSizes = {31415, 9, 2653, 58979};
constexpr std::array kRequestSizes = {27182, 8, 1828, 45904};

StreamingOutputCallRequest output_request(std::vector<int> sizes, int request_size = 0, int interval_us = 0) {
  StreamingOutputCallRequest request;
  request.mutable_payload()->set_body(std::string(static_cast<std::size_t>(request_size), '\0'));
  for (const int size : sizes) {
    auto& wanted = *request.add_response_parameters();
    wanted.set_size(size);
    wanted.set_interval_us(interval_us);
  }
  return request;
}

void empty_unary(Stub& stub) {
  ClientContext context;
  Empty reply;
  EXPECT(stub.EmptyCall(&context, {}, &reply).ok());
}

void large_unary(Stub& stub, grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
  ClientContext context;
  context.set_compression_algorithm(compression);
  SimpleRequest request;
  request.set_response_size(314159);
  request.mutable_payload()->set_body(std::string(271828, '\0'));
  SimpleResponse reply;
  EXPECT(stub.UnaryCall(&context, request, &reply).ok());
  EXPECT(reply.payload().body().size() == 314159);
}
void client_compressed_unary(Stub& stub) {
  large_unary(stub, GRPC_COMPRESS_GZIP);
}

void client_streaming(Stub& stub) {
  ClientContext context;
  StreamingInputCallResponse reply;
  auto writer = stub.StreamingInputCall(&context, &reply);
  for (const int size : kRequestSizes) {
    StreamingInputCallRequest request;
    request.mutable_payload()->set_body(std::string(static_cast<std::size_t>(size), '\0'));
    EXPECT(writer->Write(request));
  }
  writer->WritesDone();
  EXPECT(writer->Finish().ok());
  EXPECT(reply.aggregated_payload_size() == 74922);
}

void server_streaming(Stub& stub) {
  ClientContext context;
  auto reader = stub.StreamingOutputCall(&context, output_request({kSizes.begin(), kSizes.end()}));
  StreamingOutputCallResponse reply;
  for (const int size : kSizes) {
    EXPECT(reader->Read(&reply));
    EXPECT(reply.payload().body().size() == static_cast<std::size_t>(size));
  }
  EXPECT(!reader->Read(&reply));
  EXPECT(reader->Finish().ok());
}

void ping_pong(Stub& stub) {
  ClientContext context;
  auto stream = stub.FullDuplexCall(&context);
  StreamingOutputCallResponse reply;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    EXPECT(stream->Write(output_request({kSizes[i]}, kRequestSizes[i])));
    EXPECT(stream->Read(&reply));
    EXPECT(reply.payload().body().size() == static_cast<std::size_t>(kSizes[i]));
  }
  stream->WritesDone();
  EXPECT(!stream->Read(&reply));
  EXPECT(stream->Finish().ok());
}

void empty_stream(Stub& stub) {
  ClientContext context;
  auto stream = stub.FullDuplexCall(&context);
  stream->WritesDone();
  StreamingOutputCallResponse reply;
  EXPECT(!stream->Read(&reply));
  EXPECT(stream->Finish().ok());
}

void cancel_after_begin(Stub& stub) {
  ClientContext context;
  StreamingInputCallResponse reply;
  auto writer = stub.StreamingInputCall(&context, &reply);
  context.TryCancel();
  EXPECT(writer->Finish().error_code() == StatusCode::CANCELLED);
}

void cancel_after_first_response(Stub& stub) {
  ClientContext context;
  auto stream = stub.FullDuplexCall(&context);
  StreamingOutputCallResponse reply;
  EXPECT(stream->Write(output_request({31415}, 27182)));
  EXPECT(stream->Read(&reply));
  context.TryCancel();
  EXPECT(stream->Finish().error_code() == StatusCode::CANCELLED);
}

void timeout_on_sleeping_server(Stub& stub) {
  ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(10));
  auto stream = stub.FullDuplexCall(&context);
  stream->Write(output_request({31415}, 27182, 1'000'000));
  StreamingOutputCallResponse reply;
  EXPECT(!stream->Read(&reply));
  EXPECT(stream->Finish().error_code() == StatusCode::DEADLINE_EXCEEDED);
}

void special_status_message(Stub& stub) {
  ClientContext context;
  SimpleRequest request;
  const std::string text = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n";
  request.mutable_response_status()->set_code(2);
  request.mutable_response_status()->set_message(text);
  SimpleResponse reply;
  const auto status = stub.UnaryCall(&context, request, &reply);
  EXPECT(status.error_code() == StatusCode::UNKNOWN);
  EXPECT(status.error_message() == text);
}

void custom_metadata(Stub& stub) {
  ClientContext context;
  context.AddMetadata("x-grpc-test-echo-initial", "test_initial_metadata_value");
  context.AddMetadata("x-grpc-test-echo-trailing-bin", "\xab\xab\xab");
  SimpleResponse reply;
  EXPECT(stub.UnaryCall(&context, {}, &reply).ok());
  EXPECT(context.GetServerInitialMetadata().count("x-grpc-test-echo-initial") == 1);
  const auto trailing = context.GetServerTrailingMetadata().find("x-grpc-test-echo-trailing-bin");
  EXPECT(trailing != context.GetServerTrailingMetadata().end() && trailing->second == "\xab\xab\xab");
}

void unimplemented_method(Stub& stub) {
  ClientContext context;
  Empty reply;
  EXPECT(stub.UnimplementedCall(&context, {}, &reply).error_code() == StatusCode::UNIMPLEMENTED);
}

void eight_threads(Stub& stub) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&stub] {
      for (int call = 0; call < 100; ++call) empty_unary(stub);
    });
  }
  for (auto& thread : threads) thread.join();
}

void slow_reader(Stub& stub) {
  ClientContext context;
  auto reader = stub.StreamingOutputCall(&context, output_request(std::vector<int>(200, 100'000)));
  StreamingOutputCallResponse reply;
  int count = 0;
  for (; reader->Read(&reply); ++count) {
    if (count < 10) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT(count == 200);
  EXPECT(reader->Finish().ok());
}

}  // namespace

void run_standard_cases(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = TestService::NewStub(channel);
  const std::vector<std::pair<const char*, std::function<void(Stub&)>>> cases = {
      {"empty_unary", empty_unary},
      {"large_unary", [](Stub& s) { large_unary(s); }},
      {"client_compressed_unary", client_compressed_unary},
      {"client_streaming", client_streaming},
      {"server_streaming", server_streaming},
      {"ping_pong", ping_pong},
      {"empty_stream", empty_stream},
      {"cancel_after_begin", cancel_after_begin},
      {"cancel_after_first_response", cancel_after_first_response},
      {"timeout_on_sleeping_server", timeout_on_sleeping_server},
      {"special_status_message", special_status_message},
      {"custom_metadata", custom_metadata},
      {"unimplemented_method", unimplemented_method},
      {"eight_threads", eight_threads},
      {"slow_reader", slow_reader},
  };
  for (const auto& [name, play] : cases) {
    std::printf("%s\n", name);
    play(*stub);
  }
}

}  // namespace berth::test
