// The standard gRPC interoperability cases and some more, played by Debian's grpc++:
// test_service_client SERVER CERTIFICATES. Prints one line for each case.
#include "tests/interop/test_service_client.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <grpcpp/grpcpp.h>
#include <iterator>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::test {
namespace {

int failures = 0;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The server ends with its standard input.
struct ServerProcess {
  ServerProcess(const char* program, const std::string& certificates) {
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) std::abort();
    pid = ::fork();
    if (pid == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      ::execl(program, program, certificates.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    input = to[1];
    output = ::fdopen(from[0], "r");
    if (std::fscanf(output, "port %d", &port) != 1) std::abort();
  }
  ~ServerProcess() {
    ::close(input);
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT(status == 0);
    std::fclose(output);
  }
  pid_t pid = -1;
  int input = -1;
  FILE* output = nullptr;
  int port = 0;
};

}  // namespace

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("  FAILED: %s\n", what);
  ++failures;
}

}  // namespace berth::test

int main(int argc, char** argv) {
  using namespace berth::test;
  if (argc != 3) return 2;
  const std::string certificates = argv[2];
  const ServerProcess server(argv[1], certificates);

  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = text_of(certificates + "/ca.crt");
  tls.pem_private_key = text_of(certificates + "/client.key");
  tls.pem_cert_chain = text_of(certificates + "/client.crt");
  const auto channel =
      grpc::CreateChannel("localhost:" + std::to_string(server.port), grpc::SslCredentials(tls));
  run_standard_cases(channel);
  run_more_cases(channel);
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
