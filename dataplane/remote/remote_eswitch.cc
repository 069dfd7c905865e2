#include "dataplane/remote/remote_eswitch.h"

#include "berth/eswitch/v1/eswitch.pb.h"
#include "dataplane/remote/convert.h"

#include <algorithm>
#include <utility>

namespace berth::dataplane::remote {
namespace {

using namespace asio::experimental::awaitable_operators;
using ApplyStream = rpc::ClientStream<v1::ApplyRequest, v1::ApplyReply>;

constexpr std::chrono::milliseconds kRetryInterval{100};
// A holder that is alive answers pings whatever its control thread does.
constexpr std::chrono::seconds kSilence{5};

std::string method(const char* name) {
  return std::string("berth.eswitch.v1.RuleHolder/") + name;
}

// The transport's UNAVAILABLE is the holder's absence, by its own name.
template <typename T>
std::unexpected<Error> told(const Result<T>& failed) {
  Error error = failed.error().in("rule holder");
  if (error.code == Code::kUnavailable) error.reason = "ESWITCH_AWAY";
  return std::unexpected(std::move(error));
}

Task<void> send_batches(ApplyStream stream, std::uint64_t session, std::vector<RuleChange> changes) {
  for (std::size_t begin = 0; begin < changes.size(); begin += kMaxBatch) {
    v1::ApplyRequest request;
    request.set_session(session);
    const std::size_t end = std::min(begin + kMaxBatch, changes.size());
    for (std::size_t i = begin; i < end; ++i) write_change(changes[i], *request.add_changes());
    const auto written = co_await stream.write(request);
    if (!written) co_return pass(written);
  }
  stream.writes_done();
  co_return Result<void>();
}

Task<std::vector<Result<void>>> receive_outcomes(ApplyStream stream, std::size_t count) {
  std::vector<Result<void>> outcomes(count);
  for (std::size_t begin = 0; begin < count; begin += kMaxBatch) {
    const auto reply = co_await stream.read();
    if (!reply) co_return pass(reply);
    if (!*reply) co_return fail(Code::kInternal, "", "the call ended before its last reply");
    for (const v1::Refusal& refusal : (*reply)->refused()) {
      const std::size_t at = begin + refusal.index();
      if (refusal.index() >= kMaxBatch || at >= count)
        co_return fail(Code::kInternal, "", "a reply to a change that was not sent");
      outcomes[at] = fail(static_cast<Code>(refusal.code()), refusal.reason(), refusal.message());
    }
  }
  const auto ended = co_await stream.finish();
  if (!ended) co_return pass(ended);
  co_return outcomes;
}

}  // namespace

RemoteEswitch::RemoteEswitch(asio::any_io_executor executor, const std::string& socket, std::uint32_t uid)
    : channel_(executor, {.endpoints = {"unix:" + socket},
                          .only_uid = uid,
                          .limits = {.keepalive = kSilence, .keepalive_timeout = kSilence},
                          .backoff_first = kRetryInterval,
                          .backoff_max = kRetryInterval}),
      why_away_{.code = Code::kUnavailable, .message = "not connected yet", .reason = "ESWITCH_AWAY"},
      session_changed_(executor) {}

asio::awaitable<void> RemoteEswitch::run() {
  while (true) {
    why_away_ = co_await keep_session();
    session_.reset();
    session_changed_.notify_all();
    if (!co_await sleep_for(kRetryInterval)) co_return;
  }
}

// Until it ends; why it did.
asio::awaitable<Error> RemoteEswitch::keep_session() {
  v1::HelloRequest request;
  request.set_protocol(kProtocol);
  request.set_client("berthd");
  const auto call = co_await channel_.server_stream<v1::HelloReply>(method("Hello"), request);
  if (!call) co_return told(call).error();
  const auto hello = co_await call->read();
  if (!hello) co_return told(hello).error();
  if (*hello) {
    session_ = (*hello)->session();
    instance_ = (*hello)->instance();
    ++epoch_;
    session_changed_.notify_all();
    const auto end = co_await call->read();  // nothing more comes but the end
    if (!end) co_return told(end).error();
  }
  co_return Error{.code = Code::kUnavailable, .message = "the rule holder hung up", .reason = "ESWITCH_AWAY"};
}

Result<void> RemoteEswitch::check_session() const {
  if (session_) return {};
  return fail(Code::kUnavailable, "ESWITCH_AWAY", "rule holder: " + why_away_.message);
}

Task<std::vector<Result<void>>> RemoteEswitch::apply(std::vector<RuleChange> changes) {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  const std::size_t count = changes.size();
  if (count == 0) co_return std::vector<Result<void>>();
  const auto stream = co_await channel_.bidi<v1::ApplyRequest, v1::ApplyReply>(method("Apply"));
  if (!stream) co_return told(stream);
  const std::uint64_t session = session_.value_or(0);
  // Beside each other: a holder that waits for its replies to be taken reads no further request.
  auto [sent, outcomes] =
      co_await (send_batches(*stream, session, std::move(changes)) && receive_outcomes(*stream, count));
  if (!outcomes) co_return told(outcomes);  // the end of the call says more than what it did to the sender
  if (!sent) co_return told(sent);
  co_return std::move(outcomes);
}

Task<std::vector<HeldRule>> RemoteEswitch::read_rules(RuleFilter which) {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  if (which.keys && which.keys->empty()) co_return std::vector<HeldRule>();
  v1::ReadRulesRequest request;
  if (which.owner) request.set_owner(which.owner->number());
  if (which.keys) {
    for (const RuleKey& key : *which.keys) write_key(key, *request.add_keys());
  }
  const auto call = co_await channel_.server_stream<v1::ReadRulesReply>(method("ReadRules"), request);
  if (!call) co_return told(call);
  std::vector<HeldRule> rules;
  while (true) {
    const auto reply = co_await call->read();
    if (!reply) co_return told(reply);
    if (!*reply) co_return rules;
    for (const v1::HeldRule& held : (*reply)->rules()) {
      auto rule = read_rule(held.rule());
      if (!rule) co_return told(rule);
      rules.push_back({.rule = *std::move(rule), .packets = held.packets(), .bytes = held.bytes()});
    }
  }
}

Task<std::vector<RuleDigest>> RemoteEswitch::read_digests() {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  const auto reply =
      co_await channel_.unary<v1::ReadDigestsReply>(method("ReadDigests"), v1::ReadDigestsRequest());
  if (!reply) co_return told(reply);
  std::vector<RuleDigest> digests;
  for (const v1::Digest& message : reply->digests()) {
    auto digest = read_digest(message);
    if (!digest) co_return told(digest);
    // Made in another way: it says which rules there are, and compares with nothing.
    if (reply->method() != kDigestMethod) digest->count = 0;
    digests.push_back(*digest);
  }
  co_return digests;
}

Task<std::vector<PortState>> RemoteEswitch::read_ports() {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  const auto reply = co_await channel_.unary<v1::ReadPortsReply>(method("ReadPorts"), v1::ReadPortsRequest());
  if (!reply) co_return told(reply);
  std::vector<PortState> ports;
  for (const v1::Port& message : reply->ports()) {
    const auto port = read_port(message.port());
    if (!port) co_return told(port);
    ports.push_back({.port = *port,
                     .ethdev_port_id = static_cast<std::uint16_t>(message.ethdev_port_id()),
                     .is_unbacked = message.unbacked()});
  }
  co_return ports;
}

Task<void> RemoteEswitch::set_answers(EswitchPort port, std::optional<PortAnswers> answers) {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  v1::SetAnswersRequest request;
  request.set_session(*session_);
  request.set_port(port.number());
  if (answers) write_answers(*answers, *request.mutable_answers());
  const auto reply = co_await channel_.unary<v1::SetAnswersReply>(method("SetAnswers"), request);
  if (!reply) co_return told(reply);
  co_return Result<void>();
}

Task<std::vector<SlowPathState>> RemoteEswitch::read_slow_path(std::optional<EswitchPort> port) {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  v1::ReadSlowPathRequest request;
  if (port) request.set_port(port->number());
  const auto reply = co_await channel_.unary<v1::ReadSlowPathReply>(method("ReadSlowPath"), request);
  if (!reply) co_return told(reply);
  std::vector<SlowPathState> states;
  for (const v1::SlowPath& message : reply->ports()) {
    auto state = remote::read_slow_path(message);
    if (!state) co_return told(state);
    states.push_back(*std::move(state));
  }
  co_return states;
}

Task<void> RemoteEswitch::inject(std::vector<InjectedFrame> frames) {
  if (const auto connected = check_session(); !connected) co_return pass(connected);
  v1::InjectRequest request;
  request.set_session(*session_);
  for (const InjectedFrame& frame : frames) {
    v1::Frame& message = *request.add_frames();
    message.set_from(frame.from.number());
    message.set_bytes(frame.bytes.data(), frame.bytes.size());
  }
  const auto reply = co_await channel_.unary<v1::InjectReply>(method("Inject"), request);
  if (reply) co_return Result<void>();
  Error error = told(reply).error();
  // A holder of an earlier version does not know the call.
  if (error.code == Code::kUnimplemented) error.reason = "PROBE_NOT_SUPPORTED";
  co_return std::unexpected(std::move(error));
}

}  // namespace berth::dataplane::remote
