// berth-eswitchd, the rule holder: the eSwitch engine in a process of its own, so that the rules and the
// functions' sockets outlive berthd. Serves dataplane/eswitch.h on a unix socket to this user alone.
#include "base/log.h"
#include "base/main_loop.h"
#include "base/task_group.h"
#include "dataplane/remote/eswitch_service.h"
#include "dataplane/wire_numbers.h"
#include "eswitchd/config.h"
#include "eswitchd/open_eswitch.h"
#include "host/vtep_port.h"
#include "rpc/server.h"

#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

namespace berth {
namespace {

using dataplane::remote::EswitchService;

// Changes that are under way when it stops; they take milliseconds, only Hello would last.
constexpr std::chrono::milliseconds kDrain{100};

std::uint64_t make_instance() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

asio::awaitable<void> serve_until_signal(rpc::Server& server) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn("rpc server", server.run());
  co_await wait_for_stop_signal();
  log_event(LogLevel::kInfo, "stopping");
  tasks.cancel();
  co_await tasks.join();
}

Result<void> serve(const eswitchd::Config& config) {
  const auto vtep_port = host::VtepPort::claim(config.underlay.vtep, dataplane::kVxlanUdpPort);
  if (!vtep_port) return pass(vtep_port);
  asio::io_context io(1);  // before the eSwitch, whose control thread resumes coroutines on it
  const auto eswitch = eswitchd::open_eswitch(config.underlay, config.eswitch);
  if (!eswitch) return pass(eswitch);

  rpc::Server server(io.get_executor(), {.listen = "unix:" + config.socket.string(),
                                         .only_uid = ::geteuid(),
                                         .limits = {.idle = rpc::milliseconds(0), .drain = kDrain}});
  EswitchService service(io.get_executor(), **eswitch, make_instance());
  service.add_to(server);
  if (auto complete = server.require_complete(EswitchService::kName); !complete) return complete;
  std::error_code error;
  std::filesystem::create_directories(config.socket.parent_path(), error);  // listen() says what is wrong
  if (auto listening = server.listen(); !listening) return listening;
  log_event(LogLevel::kInfo, "ready",
            {{"socket", config.socket.string()}, {"functions", config.eswitch.functions}});
  run_to_end(io, serve_until_signal(server));
  return {};
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  CLI::App app("berth-eswitchd: holds the eSwitch's rules for berthd");
  std::string config_file;
  app.add_option("--config", config_file, "TOML file; see docs/examples/berth-eswitchd.toml")->required();
  bool only_checks = false;
  app.add_flag("--check-config", only_checks, "only say what is wrong with that file");
  app.set_version_flag("--version", "berth-eswitchd " BERTH_VERSION);
  CLI11_PARSE(app, argc, argv);

  std::signal(SIGPIPE, SIG_IGN);  // guests and clients go away whenever they like
  const auto config = berth::eswitchd::load_config(config_file);
  if (!config) {
    berth::log_event(berth::LogLevel::kError, "bad configuration", {{"error", config.error().message}});
    return 2;
  }
  if (only_checks) return 0;
  berth::set_log_level(config->log_level);
  const auto served = berth::serve(*config);
  if (!served) {
    berth::log_event(berth::LogLevel::kError, "cannot serve",
                     {{"reason", served.error().reason}, {"error", served.error().message}});
    return 1;
  }
  return 0;
}
