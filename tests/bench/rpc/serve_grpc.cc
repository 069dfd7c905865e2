#include "tests/bench/rpc/bench.grpc.pb.h"
#include "tests/bench/rpc/servers.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <grpcpp/grpcpp.h>
#include <iterator>
#include <unistd.h>

namespace berth::bench {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class StreamReactor : public grpc::ServerWriteReactor<Payload> {
 public:
  explicit StreamReactor(const Payload& request) : reply_(request), left_(request.count()) {
    if (left_ > 0) next();  // else: stays open until the client leaves
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    next();
  }
  void OnCancel() override {
    if (reply_.count() == 0) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  void next() {
    if (left_-- == 0) return Finish(grpc::Status::OK);
    StartWrite(&reply_);
  }
  Payload reply_;
  std::uint32_t left_;
};

class Service : public Bench::CallbackService {
  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context, const Payload* request,
                                 Payload* reply) override {
    *reply = *request;
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<Payload>* Stream(grpc::CallbackServerContext*, const Payload* request) override {
    return new StreamReactor(*request);
  }
};

}  // namespace

int serve_grpc(const ServerFiles& files) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = text_of(files.trusted_ca);
  tls.pem_key_cert_pairs.push_back({text_of(files.private_key), text_of(files.certificate)});
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("%d\n", port);
  std::fflush(stdout);
  char byte = 0;
  (void)!::read(STDIN_FILENO, &byte, 1);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace berth::bench
