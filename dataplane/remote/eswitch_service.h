// The rule holder's side of eswitch.proto: serves any Eswitch to one client at a time. Who may connect is
// the server's to say (rpc::ServerOptions::only_uid).
#pragma once

#include "base/signal.h"
#include "berth/eswitch/v1/eswitch.pb.h"
#include "dataplane/eswitch.h"
#include "rpc/server.h"

#include <cstdint>

namespace berth::dataplane::remote {

namespace v1 = berth::eswitch::v1;

class EswitchService {
 public:
  static constexpr const char* kName = "berth.eswitch.v1.RuleHolder";

  // `eswitch` outlives the server. `instance` is another one for each start of the holder.
  EswitchService(asio::any_io_executor executor, Eswitch& eswitch, std::uint64_t instance);
  void add_to(rpc::Server& server);

 private:
  Task<void> hello(rpc::Context context, v1::HelloRequest request, rpc::Writer<v1::HelloReply> replies);
  Task<void> apply(rpc::Reader<v1::ApplyRequest> requests, rpc::Writer<v1::ApplyReply> replies);
  Task<v1::ApplyReply> apply_batch(v1::ApplyRequest request);
  Task<void> read_rules(v1::ReadRulesRequest request, rpc::Writer<v1::ReadRulesReply> replies);
  Task<v1::ReadDigestsReply> read_digests();
  Task<v1::ReadPortsReply> read_ports();
  Task<v1::SetAnswersReply> set_answers(v1::SetAnswersRequest request);
  Task<v1::ReadSlowPathReply> read_slow_path(v1::ReadSlowPathRequest request);
  Task<v1::InjectReply> inject(v1::InjectRequest request);
  Result<void> check_session(std::uint64_t session) const;

  Eswitch& eswitch_;
  std::uint64_t instance_;
  std::uint64_t session_;  // of the last Hello
  Signal replaced_;
};

}  // namespace berth::dataplane::remote
