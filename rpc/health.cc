#include "rpc/health.h"

#include "grpc/health/v1/health.pb.h"

#include <fmt/format.h>

namespace berth::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// A friend by nesting: the protobuf types stay out of the header.
struct Health::Handlers {
  static HealthCheckResponse::ServingStatus status_of(const Health& self, const std::string& service) {
    const auto found = self.statuses_.find(service);
    if (found == self.statuses_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
    return found->second == Status::kServing ? HealthCheckResponse::SERVING
                                             : HealthCheckResponse::NOT_SERVING;
  }

  static Task<HealthCheckResponse> check(Health& self, HealthCheckRequest request) {
    HealthCheckResponse response;
    response.set_status(status_of(self, request.service()));
    if (response.status() == HealthCheckResponse::SERVICE_UNKNOWN) {
      co_return fail(Code::kNotFound, "SERVICE_UNKNOWN",
                     fmt::format("unknown service {}", request.service()));
    }
    co_return response;
  }

  static Task<void> watch(Health& self, HealthCheckRequest request, Writer<HealthCheckResponse> responses) {
    HealthCheckResponse response;
    bool is_first = true;
    while (true) {
      const auto status = status_of(self, request.service());
      if (is_first || status != response.status()) {
        is_first = false;
        response.set_status(status);
        const auto written = co_await responses.write(response);
        if (!written) co_return pass(written);
        continue;  // it may have changed while write() waited
      }
      const auto woken = co_await self.changed_.wait();
      if (!woken) co_return fail(Code::kCancelled, "", "the watcher has gone");
    }
  }
};

void Health::add_to(Server& server) {
  server.unary<HealthCheckRequest, HealthCheckResponse>(
      "grpc.health.v1.Health/Check",
      [this](Context, HealthCheckRequest request) { return Handlers::check(*this, std::move(request)); });
  server.server_stream<HealthCheckRequest, HealthCheckResponse>(
      "grpc.health.v1.Health/Watch",
      [this](Context, HealthCheckRequest request, Writer<HealthCheckResponse> responses) {
        return Handlers::watch(*this, std::move(request), std::move(responses));
      });
}

void Health::set(const std::string& service, Status status) {
  statuses_[service] = status;
  changed_.notify_all();
}

}  // namespace berth::rpc
