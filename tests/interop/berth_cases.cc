// What the standard cases leave out: health, reflection, and errors with details as public clients read
// them (google.rpc.Status; rpc/wire/status.proto has its wire shape).
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "rpc/wire/status.pb.h"
#include "tests/interop/echo.grpc.pb.h"
#include "tests/interop/test_service_client.h"

#include <cstdio>
#include <grpcpp/grpcpp.h>
#include <set>
#include <string>

namespace berth::test {
namespace {

using grpc::ClientContext;
using grpc::StatusCode;
using Channel = std::shared_ptr<grpc::Channel>;

void health(const Channel& channel) {
  using namespace grpc::health::v1;
  const auto stub = Health::NewStub(channel);
  const auto check = [&](const std::string& service, HealthCheckResponse& response) {
    ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    return stub->Check(&context, request, &response).error_code();
  };
  HealthCheckResponse response;
  EXPECT(check("", response) == StatusCode::OK);
  EXPECT(response.status() == HealthCheckResponse::SERVING);
  EXPECT(check("no.such.Service", response) == StatusCode::NOT_FOUND);

  ClientContext context;
  HealthCheckRequest request;
  request.set_service("no.such.Service");
  const auto watch = stub->Watch(&context, request);
  EXPECT(watch->Read(&response));
  EXPECT(response.status() == HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT(watch->Finish().error_code() == StatusCode::CANCELLED);
}

void reflection(const Channel& channel) {
  using namespace grpc::reflection::v1;
  const auto stub = ServerReflection::NewStub(channel);
  ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  ServerReflectionResponse response;
  request.set_list_services("");
  EXPECT(stream->Write(request));
  EXPECT(stream->Read(&response));
  std::set<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.insert(service.name());
  EXPECT(names.contains("grpc.testing.TestService"));
  EXPECT(names.contains("berth.test.Echo"));
  request.set_file_containing_symbol("berth.test.Echo");
  EXPECT(stream->Write(request));
  EXPECT(stream->Read(&response));
  EXPECT(response.file_descriptor_response().file_descriptor_proto_size() >= 1);
  stream->WritesDone();
  EXPECT(!stream->Read(&response));
  EXPECT(stream->Finish().ok());
}

void error_details(const Channel& channel) {
  const auto stub = Echo::NewStub(channel);
  ClientContext context;
  EchoRequest request;
  request.set_text("vm-7");
  request.set_fail_code(9);
  EchoReply reply;
  const auto status = stub->Say(&context, request, &reply);
  EXPECT(status.error_code() == StatusCode::FAILED_PRECONDITION);
  rpc::wire::Status details;
  EXPECT(details.ParseFromString(status.error_details()));
  EXPECT(details.code() == 9);
  EXPECT(details.details_size() == 2);
  if (details.details_size() != 2) return;
  rpc::wire::ErrorInfo info;
  EXPECT(details.details(0).type_url() == "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT(info.ParseFromString(details.details(0).value()));
  EXPECT(info.reason() == "ON_REQUEST" && info.domain() == "berth");
  EXPECT(info.metadata().at("text") == "vm-7");
  rpc::wire::BadRequest bad;
  EXPECT(details.details(1).type_url() == "type.googleapis.com/google.rpc.BadRequest");
  EXPECT(bad.ParseFromString(details.details(1).value()));
  EXPECT(bad.field_violations_size() == 1 && bad.field_violations(0).field() == "fail_code");
}

void big_messages(const Channel& channel) {
  const auto stub = Echo::NewStub(channel);
  const auto say = [&](std::size_t asked, std::uint32_t answered, EchoReply& reply) {
    ClientContext context;
    EchoRequest request;
    request.set_padding(std::string(asked, 'x'));
    request.set_reply_bytes(answered);
    return stub->Say(&context, request, &reply).error_code();
  };
  EchoReply reply;
  EXPECT(say(3'000'000, 3'000'000, reply) == StatusCode::OK);
  EXPECT(reply.padding().size() == 3'000'000);
  EXPECT(say(5'000'000, 1, reply) == StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace

void run_more_cases(const Channel& channel) {
  std::printf("health\n");
  health(channel);
  std::printf("reflection\n");
  reflection(channel);
  std::printf("error_details\n");
  error_details(channel);
  std::printf("big_messages\n");
  big_messages(channel);
}

}  // namespace berth::test
