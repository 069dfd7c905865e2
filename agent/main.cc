// berthd: builds the parts, introduces them to each other, runs until told to stop. With tools/ the
// only place that sees every folder.
#include "agent/access.h"
#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/underlay_tracker.h"
#include "base/log.h"
#include "dataplane/dpdk/embedded_eswitch.h"
#include "dataplane/pipeline.h"
#include "dataplane/rule.h"
#include "host/netlink/link.h"
#include "host/netlink/neighbours.h"
#include "host/vhost_user_driver.h"
#include "host/vtep_port.h"
#include "northbound/attachments.h"
#include "northbound/inspection.h"
#include "rpc/server.h"
#include "southbound/vpc_control.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace berth {
namespace {

using dataplane::dpdk::EmbeddedEswitch;

constexpr std::chrono::milliseconds kGuestDisconnectWait{2000};
// How long running calls may go on when berthd stops. Watches and controllers' streams never end by
// themselves, everything else takes milliseconds.
constexpr std::chrono::milliseconds kDrain{500};

// The device exists, is up, has the tunnel address, and leaves room for the tunnel's headers.
Result<host::LinkState> check_uplink(const agent::Config& config) {
  auto link = host::read_link(config.underlay.device);
  if (!link) return link;
  if (!link->is_up) {
    return fail(Code::kFailedPrecondition, "UPLINK_DOWN",
                fmt::format("network device {} is down", config.underlay.device));
  }
  if (link->mtu_bytes <
      agent::kMinMtuBytes + dataplane::vxlan_overhead_bytes(config.underlay.vtep.family())) {
    return fail(Code::kFailedPrecondition, "UPLINK_MTU",
                fmt::format("network device {}: an MTU of {} leaves no room in a tunnel",
                            config.underlay.device, link->mtu_bytes));
  }
  if (std::ranges::find(link->addresses, config.underlay.vtep) == link->addresses.end()) {
    return fail(
        Code::kFailedPrecondition, "VTEP_NOT_HERE",
        fmt::format("network device {} does not have {}", config.underlay.device, config.underlay.vtep));
  }
  return link;
}

// One vhost-user socket a function; sockets of a killed predecessor are removed.
Result<std::vector<host::Function>> make_functions(const agent::Config& config) {
  std::error_code error;
  std::filesystem::create_directories(config.eswitch.socket_dir, error);
  if (error) {
    return fail(Code::kFailedPrecondition, "SOCKET_DIR",
                fmt::format("{}: {}", config.eswitch.socket_dir.string(), error.message()));
  }
  std::vector<host::Function> functions;
  for (std::uint16_t i = 0; i < config.eswitch.functions; ++i) {
    const auto socket = config.eswitch.socket_dir / fmt::format("vf{}.sock", i);
    std::filesystem::remove(socket, error);
    functions.push_back({.index = i, .socket = socket.string()});
  }
  return functions;
}

Result<std::unique_ptr<EmbeddedEswitch>> open_eswitch(const agent::Config& config,
                                                      const std::vector<host::Function>& functions) {
  dataplane::dpdk::SoftEswitchOptions options{
      .uplink = dataplane::dpdk::af_packet_backing(config.underlay.device),
      .use_hugepages = config.eswitch.hugepages,
      .steering = config.eswitch.steering == "hws" ? dataplane::dpdk::SteeringMode::kHardware
                                                   : dataplane::dpdk::SteeringMode::kSoftware};
  for (const host::Function& function : functions) {
    options.functions.push_back(dataplane::dpdk::vhost_user_backing(function.index, function.socket));
  }
  return EmbeddedEswitch::open_soft(options);
}

rpc::ServerOptions server_options(const agent::Config& config) {
  return {.listen = config.api.listen,
          .tls = {.certificate = config.api.certificate,
                  .private_key = config.api.private_key,
                  .trusted_ca = config.api.trusted_ca},
          .limits = {.drain = kDrain}};
}

// Everything that lives while berthd serves. Members are destroyed in reverse order.
class Daemon {
 public:
  Daemon(asio::io_context& io, const agent::Config& config, const host::LinkState& uplink,
         std::vector<host::Function> functions, dataplane::Eswitch& eswitch, host::Neighbours& neighbours)
      : io_(io),
        config_(config),
        uplink_(uplink),
        neighbours_(neighbours),
        driver_(kGuestDisconnectWait),
        agent_(io.get_executor(), eswitch, driver_, std::move(functions),
               {.underlay = {.vtep = config.underlay.vtep, .mac = uplink.mac},
                .underlay_mtu_bytes = uplink.mtu_bytes,
                .vpc_wait = std::chrono::milliseconds(config.attach.vpc_wait_ms)}),
        attachments_(agent_),
        inspection_(agent_),
        vpc_control_(agent_, io.get_executor()),
        server_(io.get_executor(), server_options(config)),
        tasks_(io.get_executor()) {}

  // Serves until SIGINT or SIGTERM. An error: it could not start.
  Task<void> run() {
    const auto ready = co_await start();
    if (ready) co_await wait_for_signal();
    log_event(LogLevel::kInfo, "stopping");
    tasks_.cancel();
    co_await tasks_.join();
    co_await agent_.stop();
    co_return ready;
  }

 private:
  Task<void> start() {
    const auto started = co_await agent_.start();
    if (!started) co_return started;
    if (const auto listening = listen(); !listening) co_return listening;
    tasks_.spawn("rpc server", server_.run());
    tasks_.spawn("underlay", agent::track_underlay(agent_, neighbours_, uplink_.ifindex));
    const auto colon = config_.api.listen.rfind(':');
    log_event(LogLevel::kInfo, "ready",
              {{"listen", fmt::format("{}:{}", config_.api.listen.substr(0, colon), server_.port())}});
    co_return Result<void>();
  }

  Result<void> listen() {
    attachments_.add_to(server_);
    inspection_.add_to(server_);
    vpc_control_.add_to(server_);
    for (const char* service : {"berth.northbound.v1.Attachments", "berth.northbound.v1.Inspection",
                                "berth.southbound.v1.VpcControl"}) {
      if (auto complete = server_.require_complete(service); !complete) return complete;
    }
    server_.set_authorize(
        [domain = config_.api.trust_domain](const rpc::Peer& peer, std::string_view method) -> Result<void> {
          const auto role = agent::role_of(peer.uri_sans, domain);
          if (!role) return pass(role);
          return agent::authorize(*role, method);
        });
    return server_.listen();
  }

  asio::awaitable<void> wait_for_signal() {
    asio::signal_set signals(io_, SIGINT, SIGTERM);
    (void)co_await signals.async_wait(kAsTuple);
  }

  asio::io_context& io_;
  const agent::Config& config_;
  const host::LinkState& uplink_;
  host::Neighbours& neighbours_;
  host::VhostUserDriver driver_;
  agent::Agent agent_;
  northbound::Attachments attachments_;
  northbound::Inspection inspection_;
  southbound::VpcControl vpc_control_;
  rpc::Server server_;
  TaskGroup tasks_;
};

Result<void> serve(const agent::Config& config) {
  const auto uplink = check_uplink(config);
  if (!uplink) return pass(uplink);
  const auto vtep_port = host::VtepPort::claim(config.underlay.vtep, dataplane::kVxlanUdpPort);
  if (!vtep_port) return pass(vtep_port);
  auto functions = make_functions(config);
  if (!functions) return pass(functions);
  asio::io_context io(1);  // before the eSwitch, whose control thread resumes coroutines on it
  const auto eswitch = open_eswitch(config, *functions);
  if (!eswitch) return pass(eswitch);
  const auto neighbours = host::Neighbours::open(io.get_executor());
  if (!neighbours) return pass(neighbours);
  Daemon daemon(io, config, *uplink, *std::move(functions), **eswitch, **neighbours);
  std::optional<Result<void>> outcome;
  asio::co_spawn(io, daemon.run(), [&outcome](const std::exception_ptr& thrown, Result<void> result) {
    if (thrown) std::rethrow_exception(thrown);
    outcome = std::move(result);
  });
  io.run();
  return outcome.value();
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  CLI::App app("berthd: attaches VMs to VPCs on this host's eSwitch");
  std::string config_file;
  app.add_option("--config", config_file, "TOML file; see docs/examples/berthd.toml")->required();
  CLI11_PARSE(app, argc, argv);

  std::signal(SIGPIPE, SIG_IGN);  // vhost-user and TLS peers go away whenever they like
  const auto config = berth::agent::load_config(config_file);
  if (!config) {
    berth::log_event(berth::LogLevel::kError, "bad configuration", {{"error", config.error().message}});
    return 2;
  }
  berth::set_log_level(config->log.level);
  const auto served = berth::serve(*config);
  if (!served) {
    berth::log_event(berth::LogLevel::kError, "cannot serve",
                     {{"reason", served.error().reason}, {"error", served.error().message}});
    return 1;
  }
  return 0;
}
