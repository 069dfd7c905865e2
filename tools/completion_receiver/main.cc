// completion-receiver: the VMaaS's end of Berth's completions, for reference and for tests. Confirms a
// completion when it is on the disk, and prints each operation once.
#include "base/log.h"
#include "base/main_loop.h"
#include "base/task_group.h"
#include "berth/northbound/v1/completions.pb.h"
#include "rpc/server.h"
#include "tools/completion_receiver/completion_log.h"

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

namespace berth::receiver {
namespace {

namespace v1 = northbound::v1;

// One receiver, one disk: that deliveries wait for each other does no harm here.
Task<v1::DeliverResponse> deliver(CompletionLog& log, std::string traceparent, v1::DeliverRequest request) {
  const v1::Operation& ended = request.operation();
  const auto is_new = log.add(ended);
  if (!is_new) co_return pass(is_new);
  if (*is_new) {
    log_event(LogLevel::kInfo, "completion",
              {{"operation", ended.id()},
               {"attachment", ended.attachment()},
               {"kind", v1::Operation::Kind_Name(ended.kind())},
               {"error", ended.error().reason()},
               {"traceparent", traceparent}});
  }
  co_return v1::DeliverResponse();
}

asio::awaitable<void> serve_until_signal(rpc::Server& server) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn("rpc server", server.run());
  co_await wait_for_stop_signal();
  tasks.cancel();
  co_await tasks.join();
}

// Only an agent of the trust domain may say what has become of an intent: spiffe://DOMAIN/agent/NAME.
Result<void> check_agent(const rpc::Peer& peer, const std::string& trust_domain) {
  const std::string agents = fmt::format("spiffe://{}/agent/", trust_domain);
  const auto& names = peer.uri_sans;
  if (names.size() == 1 && names[0].starts_with(agents) && names[0].size() > agents.size()) return {};
  return fail(Code::kPermissionDenied, "NO_AGENT",
              fmt::format("the certificate must carry exactly one URI, {}<name>", agents));
}

Result<void> run(const std::string& file, const std::string& trust_domain, rpc::ServerOptions options) {
  auto log = CompletionLog::open(file);
  if (!log) return pass(log);
  asio::io_context io(1);
  const std::string host = options.listen.substr(0, options.listen.rfind(':'));
  rpc::Server server(io.get_executor(), std::move(options));
  server.unary<v1::DeliverRequest, v1::DeliverResponse>(
      "berth.northbound.v1.CompletionReceiver/Deliver",
      [&log](rpc::Context call, v1::DeliverRequest request) {
        const auto traceparent = call.metadata().find("traceparent");
        const bool has_one = traceparent != call.metadata().end();
        return deliver(*log, has_one ? traceparent->second : "", std::move(request));
      });
  server.set_authorize(
      [&](const rpc::Peer& peer, std::string_view) { return check_agent(peer, trust_domain); });
  if (const auto listening = server.listen(); !listening) return listening;
  log_event(LogLevel::kInfo, "ready", {{"listen", fmt::format("{}:{}", host, server.port())}});
  run_to_end(io, serve_until_signal(server));
  return {};
}

}  // namespace
}  // namespace berth::receiver

int main(int argc, char** argv) {
  CLI::App app("completion-receiver: takes Berth's completions for a VMaaS");
  std::string file;
  std::string certificate;
  std::string private_key;
  std::string trusted_ca;
  std::string trust_domain;
  std::string listen = "127.0.0.1:7444";
  app.add_option("--listen", listen, "HOST:PORT")->capture_default_str();
  app.add_option("--certificate", certificate, "PEM, of the name that berthd calls")->required();
  app.add_option("--private-key", private_key, "PEM")->required();
  app.add_option("--trusted-ca", trusted_ca, "PEM; who signed the agents' certificates")->required();
  app.add_option("--trust-domain", trust_domain, "of the agents: spiffe://DOMAIN/agent/NAME")->required();
  app.add_option("--log", file, "completions, one JSON object a line")->required();
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  const auto served = berth::receiver::run(
      file, trust_domain,
      {.listen = listen,
       .tls = {.certificate = certificate, .private_key = private_key, .trusted_ca = trusted_ca}});
  if (served) return 0;
  berth::log_event(berth::LogLevel::kError, "cannot serve", {{"error", served.error().message}});
  return 1;
}
