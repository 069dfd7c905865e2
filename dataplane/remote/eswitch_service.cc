#include "dataplane/remote/eswitch_service.h"

#include "base/log.h"
#include "dataplane/remote/convert.h"

#include <utility>

namespace berth::dataplane::remote {
namespace {

constexpr std::size_t kRulesPerReply = 1024;

Result<RuleFilter> read_filter(const v1::ReadRulesRequest& request) {
  if (request.keys_size() != 0) {
    std::vector<RuleKey> keys;
    for (const v1::RuleKey& message : request.keys()) {
      auto key = read_key(message);
      if (!key) return pass(key);
      keys.push_back(*std::move(key));
    }
    return RuleFilter(std::move(keys));
  }
  if (!request.has_owner()) return RuleFilter();
  const auto port = read_port(request.owner());
  if (!port) return pass(port);
  return RuleFilter(*port);
}

}  // namespace

EswitchService::EswitchService(asio::any_io_executor executor, Eswitch& eswitch, std::uint64_t instance)
    : eswitch_(eswitch), instance_(instance), session_(instance), replaced_(std::move(executor)) {}

void EswitchService::add_to(rpc::Server& server) {
  const auto method = [](const char* name) { return std::string(kName) + "/" + name; };
  server.server_stream<v1::HelloRequest, v1::HelloReply>(
      method("Hello"),
      [this](rpc::Context context, v1::HelloRequest request, rpc::Writer<v1::HelloReply> replies) {
        return hello(std::move(context), std::move(request), std::move(replies));
      });
  server.bidi<v1::ApplyRequest, v1::ApplyReply>(
      method("Apply"),
      [this](rpc::Context, rpc::Reader<v1::ApplyRequest> requests, rpc::Writer<v1::ApplyReply> replies) {
        return apply(std::move(requests), std::move(replies));
      });
  server.server_stream<v1::ReadRulesRequest, v1::ReadRulesReply>(
      method("ReadRules"),
      [this](rpc::Context, v1::ReadRulesRequest request, rpc::Writer<v1::ReadRulesReply> replies) {
        return read_rules(std::move(request), std::move(replies));
      });
  server.unary<v1::ReadDigestsRequest, v1::ReadDigestsReply>(
      method("ReadDigests"), [this](rpc::Context, v1::ReadDigestsRequest) { return read_digests(); });
  server.unary<v1::ReadPortsRequest, v1::ReadPortsReply>(
      method("ReadPorts"), [this](rpc::Context, v1::ReadPortsRequest) { return read_ports(); });
  server.unary<v1::SetAnswersRequest, v1::SetAnswersReply>(
      method("SetAnswers"),
      [this](rpc::Context, v1::SetAnswersRequest request) { return set_answers(std::move(request)); });
  server.unary<v1::ReadSlowPathRequest, v1::ReadSlowPathReply>(
      method("ReadSlowPath"),
      [this](rpc::Context, v1::ReadSlowPathRequest request) { return read_slow_path(std::move(request)); });
  server.unary<v1::InjectRequest, v1::InjectReply>(
      method("Inject"),
      [this](rpc::Context, v1::InjectRequest request) { return inject(std::move(request)); });
}

Task<void> EswitchService::hello(rpc::Context, v1::HelloRequest request,
                                 rpc::Writer<v1::HelloReply> replies) {
  if (request.protocol() != kProtocol) {
    co_return fail(
        Code::kFailedPrecondition, "PROTOCOL_MISMATCH",
        fmt::format("this rule holder speaks protocol {}, the client {}", kProtocol, request.protocol()));
  }
  const std::uint64_t session = ++session_;
  replaced_.notify_all();
  log_event(LogLevel::kInfo, "client", {{"name", request.client()}, {"session", session - instance_}});
  v1::HelloReply reply;
  reply.set_protocol(kProtocol);
  reply.set_instance(instance_);
  reply.set_session(session);
  const auto written = co_await replies.write(reply);
  if (!written) co_return pass(written);
  while (session == session_) {
    const auto woken = co_await replaced_.wait();
    if (!woken) co_return pass(woken);
  }
  co_return pass(check_session(session));
}

Task<void> EswitchService::apply(rpc::Reader<v1::ApplyRequest> requests,
                                 rpc::Writer<v1::ApplyReply> replies) {
  while (true) {
    auto request = co_await requests.read();
    if (!request) co_return pass(request);
    if (!*request) co_return Result<void>();
    const auto reply = co_await apply_batch(**std::move(request));
    if (!reply) co_return pass(reply);
    const auto written = co_await replies.write(*reply);
    if (!written) co_return pass(written);
  }
}

Task<v1::ApplyReply> EswitchService::apply_batch(v1::ApplyRequest request) {
  if (const auto current = check_session(request.session()); !current) co_return pass(current);
  if (request.changes_size() > kMaxBatch) {
    co_return fail(Code::kInvalidArgument, "BATCH_TOO_LARGE",
                   fmt::format("{} changes in one request, at most {}", request.changes_size(), kMaxBatch));
  }
  std::vector<RuleChange> changes;
  changes.reserve(static_cast<std::size_t>(request.changes_size()));
  for (int i = 0; i < request.changes_size(); ++i) {
    auto change = read_change(request.changes(i));
    if (!change) co_return pass(change, fmt::format("change {}", i));
    changes.push_back(*std::move(change));
  }
  const auto outcomes = co_await eswitch_.apply(std::move(changes));
  if (!outcomes) co_return pass(outcomes);
  v1::ApplyReply reply;
  for (std::size_t i = 0; i < outcomes->size(); ++i) {
    const auto& outcome = (*outcomes)[i];
    if (outcome) continue;
    v1::Refusal& refusal = *reply.add_refused();
    refusal.set_index(static_cast<std::uint32_t>(i));
    refusal.set_code(static_cast<std::uint32_t>(outcome.error().code));
    refusal.set_reason(outcome.error().reason);
    refusal.set_message(outcome.error().message);
  }
  co_return reply;
}

Task<void> EswitchService::read_rules(v1::ReadRulesRequest request, rpc::Writer<v1::ReadRulesReply> replies) {
  auto filter = read_filter(request);
  if (!filter) co_return pass(filter);
  const auto rules = co_await eswitch_.read_rules(*std::move(filter));
  if (!rules) co_return pass(rules);
  for (std::size_t begin = 0; begin < rules->size(); begin += kRulesPerReply) {
    v1::ReadRulesReply reply;
    for (std::size_t i = begin; i < std::min(begin + kRulesPerReply, rules->size()); ++i) {
      v1::HeldRule& held = *reply.add_rules();
      write_rule((*rules)[i].rule, *held.mutable_rule());
      held.set_packets((*rules)[i].packets);
      held.set_bytes((*rules)[i].bytes);
    }
    const auto written = co_await replies.write(reply);
    if (!written) co_return pass(written);
  }
  co_return Result<void>();
}

Task<v1::ReadDigestsReply> EswitchService::read_digests() {
  const auto digests = co_await eswitch_.read_digests();
  if (!digests) co_return pass(digests);
  v1::ReadDigestsReply reply;
  reply.set_method(kDigestMethod);
  for (const RuleDigest& digest : *digests) write_digest(digest, *reply.add_digests());
  co_return reply;
}

Task<v1::ReadPortsReply> EswitchService::read_ports() {
  const auto ports = co_await eswitch_.read_ports();
  if (!ports) co_return pass(ports);
  v1::ReadPortsReply reply;
  for (const PortState& state : *ports) {
    v1::Port& port = *reply.add_ports();
    port.set_port(state.port.number());
    port.set_ethdev_port_id(state.ethdev_port_id);
    port.set_unbacked(state.is_unbacked);
  }
  co_return reply;
}

Task<v1::SetAnswersReply> EswitchService::set_answers(v1::SetAnswersRequest request) {
  if (const auto current = check_session(request.session()); !current) co_return pass(current);
  const auto port = read_port(request.port());
  if (!port) co_return pass(port);
  std::optional<PortAnswers> answers;
  if (request.has_answers()) {
    auto read = read_answers(request.answers());
    if (!read) co_return pass(read);
    answers = *std::move(read);
  }
  const auto set = co_await eswitch_.set_answers(*port, std::move(answers));
  if (!set) co_return pass(set);
  co_return v1::SetAnswersReply();
}

Task<v1::ReadSlowPathReply> EswitchService::read_slow_path(v1::ReadSlowPathRequest request) {
  std::optional<EswitchPort> port;
  if (request.has_port()) {
    const auto read = read_port(request.port());
    if (!read) co_return pass(read);
    port = *read;
  }
  const auto states = co_await eswitch_.read_slow_path(port);
  if (!states) co_return pass(states);
  v1::ReadSlowPathReply reply;
  for (const SlowPathState& state : *states) write_slow_path(state, *reply.add_ports());
  co_return reply;
}

Task<v1::InjectReply> EswitchService::inject(v1::InjectRequest request) {
  if (const auto current = check_session(request.session()); !current) co_return pass(current);
  std::vector<InjectedFrame> frames;
  for (const v1::Frame& message : request.frames()) {
    const auto from = read_port(message.from());
    if (!from) co_return pass(from);
    frames.push_back({.from = *from, .bytes = {message.bytes().begin(), message.bytes().end()}});
  }
  const auto injected = co_await eswitch_.inject(std::move(frames));
  if (!injected) co_return pass(injected);
  co_return v1::InjectReply();
}

Result<void> EswitchService::check_session(std::uint64_t session) const {
  if (session == session_) return {};
  return fail(Code::kFailedPrecondition, "SESSION_REPLACED", "another client has said Hello since");
}

}  // namespace berth::dataplane::remote
