// The standard health service (grpc.health.v1): orchestrators and load balancers ask it whether a
// service of this server may be used. "" stands for the server as a whole.
//
//   Health health(executor);
//   health.add_to(server);
//   health.set("", Health::Status::kServing);
#pragma once

#include "base/signal.h"
#include "rpc/server.h"

#include <functional>
#include <map>
#include <string>

namespace berth::rpc {

class Health {
 public:
  enum class Status { kServing, kNotServing };

  explicit Health(asio::any_io_executor executor) : changed_(std::move(executor)) {}
  // LIFETIME: outlives the server's run().
  void add_to(Server& server);
  // Watchers of the service hear of it at once.
  void set(const std::string& service, Status status);

 private:
  struct Handlers;

  std::map<std::string, Status, std::less<>> statuses_;
  Signal changed_;
};

}  // namespace berth::rpc
