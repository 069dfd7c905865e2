// berthd: builds the parts, introduces them to each other, runs until told to stop. With tools/ the
// only place that sees every folder.
#include "agent/access.h"
#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/holder_link.h"
#include "agent/host_side.h"
#include "agent/reboot.h"
#include "agent/state_db.h"
#include "agent/underlay_tracker.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/main_loop.h"
#include "dataplane/dpdk/embedded_eswitch.h"
#include "dataplane/pipeline.h"
#include "dataplane/remote/remote_eswitch.h"
#include "dataplane/wire_numbers.h"
#include "eswitchd/open_eswitch.h"
#include "host/boot_id.h"
#include "host/netlink/link.h"
#include "host/netlink/neighbours.h"
#include "host/netlink/netlink_channel.h"
#include "host/qemu/qemu_plug.h"
#include "host/vtep_port.h"
#include "northbound/attachments.h"
#include "northbound/completion_sender.h"
#include "northbound/inspection.h"
#include "northbound/topology.h"
#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/server.h"
#include "southbound/vpc_control.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

namespace berth {
namespace {

using dataplane::dpdk::EmbeddedEswitch;
using dataplane::remote::RemoteEswitch;

// How long running calls may go on when berthd stops. Watches and controllers' streams never end by
// themselves, everything else takes milliseconds.
constexpr std::chrono::milliseconds kDrain{500};
constexpr std::array kServices = {"berth.northbound.v1.Attachments", "berth.northbound.v1.Inspection",
                                  "berth.northbound.v1.Topology", "berth.southbound.v1.VpcControl"};

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

std::vector<host::Function> make_functions(const agent::Config& config) {
  std::vector<host::Function> functions;
  for (std::uint16_t i = 0; i < config.eswitch.functions; ++i) {
    host::Function function{.index = i, .is_unmanaged = config.host.are_unmanaged()};
    if (config.host.are_vhost_user())
      function.socket = dataplane::dpdk::function_socket(config.eswitch.socket_dir, i).string();
    if (!config.host.pfs.empty()) function.pf = agent::vf_pool(config).place_of(i)->pf;
    functions.push_back(std::move(function));
  }
  for (std::uint16_t i = 0; i < config.eswitch.unbacked_functions; ++i) {
    const auto index = static_cast<std::uint16_t>(config.eswitch.functions + i);
    functions.push_back({.index = index, .socket = {}, .is_unbacked = true});
  }
  if (config.eswitch.unbacked_functions != 0) {
    log_event(LogLevel::kWarning, "unbacked functions: VMs attached there get no packets",
              {{"count", config.eswitch.unbacked_functions}});
  }
  return functions;
}

Result<agent::StateDb> open_state(const agent::Config& config) {
  if (!config.agent.state_dir.empty()) return agent::StateDb::open(config.agent.state_dir);
  log_event(LogLevel::kWarning, "no state_dir: a restart forgets every attachment");
  return agent::StateDb();
}

rpc::TlsFiles tls_files(const agent::Config& config) {
  return {.certificate = config.api.certificate,
          .private_key = config.api.private_key,
          .trusted_ca = config.api.trusted_ca};
}

rpc::ServerOptions server_options(const agent::Config& config) {
  return {.listen = config.api.listen, .tls = tls_files(config), .limits = {.drain = kDrain}};
}

std::unique_ptr<northbound::CompletionSender> make_sender(asio::io_context& io, const agent::Config& config) {
  if (config.completions.receivers.empty()) return nullptr;
  return std::make_unique<northbound::CompletionSender>(
      io.get_executor(), rpc::ChannelOptions{.endpoints = config.completions.receivers,
                                             .tls = tls_files(config),
                                             .server_name = config.completions.server_name});
}

host::qemu::QemuSettings plug_settings(const agent::Config& config) {
  return {.monitor = config.qemu.monitor,
          .ports = config.qemu.ports,
          .answer_wait = std::chrono::milliseconds(config.qemu.answer_wait_ms),
          .unplug_wait = std::chrono::milliseconds(config.qemu.unplug_wait_ms),
          .unplug_attempts = config.qemu.unplug_attempts};
}

// Everything that lives while berthd serves. Members are destroyed in reverse order.
class Daemon {
 public:
  Daemon(asio::io_context& io, const agent::Config& config, const host::LinkState& uplink,
         dataplane::Eswitch& eswitch, agent::StateDb& state, host::Neighbours& neighbours)
      : config_(config),
        uplink_(uplink),
        eswitch_(eswitch),
        state_(state),
        neighbours_(neighbours),
        sender_(make_sender(io, config)),
        plug_(io.get_executor(), plug_settings(config)),
        netlink_(io.get_executor()),
        host_side_(io.get_executor(), config, plug_, netlink_),
        agent_(io.get_executor(), eswitch, host_side_.driver(), make_functions(config), state,
               {.completions = sender_.get(),
                .underlay = {.vtep = config.underlay.vtep, .mac = uplink.mac},
                .underlay_mtu_bytes = uplink.mtu_bytes,
                .vpc_wait = std::chrono::milliseconds(config.attach.vpc_wait_ms),
                .patience = std::chrono::milliseconds(config.attach.patience_ms),
                .turns = {.running = config.attach.max_running,
                          .total = config.attach.max_operations,
                          .of_tenant = config.attach.max_operations / 2},
                .eswitch_limits = config.eswitch.limits,
                .passthrough = &host_side_.passthrough(),
                .devices = &host_side_.devices(),
                .audit_interval = std::chrono::seconds(config.agent.audit_interval_s)}),
        attachments_(agent_),
        inspection_(agent_),
        topology_(topology_view_),
        vpc_control_(agent_, io.get_executor()),
        health_(io.get_executor()),
        server_(io.get_executor(), server_options(config)),
        tasks_(io.get_executor()),
        holder_(io.get_executor()) {}

  // Serves until SIGINT or SIGTERM. An error: it could not start. `remote` is the eSwitch, if a holder has
  // it.
  Task<void> run(RemoteEswitch* remote) {
    if (remote != nullptr) holder_.spawn("rule holder", remote->run());
    const auto ready = co_await start(remote);
    if (ready) co_await wait_for_stop_signal();
    log_event(LogLevel::kInfo, "stopping");
    tell_health(rpc::Health::Status::kNotServing);
    tasks_.cancel();
    co_await tasks_.join();
    co_await agent_.stop();
    if (sender_) co_await sender_->close();
    co_await host_side_.stop();
    co_await plug_.stop();
    holder_.cancel();
    co_await holder_.join();
    if (remote != nullptr) co_await remote->close();
    co_return ready;
  }

 private:
  Task<void> start(RemoteEswitch* remote) {
    if (remote != nullptr) {
      const auto connected = co_await agent::wait_for_holder(*remote);
      if (!connected) co_return connected;
    }
    const auto fits = co_await check_ports();
    if (!fits) co_return fits;
    auto saved = state_.load();
    if (!saved) co_return pass(saved);
    agent::begin_boot(*saved, host::read_boot_id());
    const auto exposed = co_await host_side_.start(*saved);
    if (!exposed) co_return pass(exposed);
    const auto begun = std::chrono::steady_clock::now();
    const auto epoch = eswitch_.epoch();
    const auto adopted = co_await agent_.start(*std::move(saved));
    if (!adopted) co_return pass(adopted);
    agent::log_adoption(*adopted, begun);
    if (const auto listening = listen(); !listening) co_return listening;
    if (remote != nullptr) {
      tasks_.spawn(
          "follow holder", agent::follow_holder(agent_, *remote, epoch, [this](bool is_in_step) {
            tell_health(is_in_step ? rpc::Health::Status::kServing : rpc::Health::Status::kNotServing);
          }));
    }
    tasks_.spawn("rpc server", server_.run());
    tasks_.spawn("underlay", agent::track_underlay(agent_, neighbours_, uplink_.ifindex));
    const auto colon = config_.api.listen.rfind(':');
    log_event(LogLevel::kInfo, "ready",
              {{"listen", fmt::format("{}:{}", config_.api.listen.substr(0, colon), server_.port())}});
    co_return Result<void>();
  }

  // A rule holder has a configuration of its own, and it must be of the same host.
  Task<void> check_ports() {
    const auto ports = co_await eswitch_.read_ports();
    if (!ports) co_return pass(ports);
    const auto unbacked =
        static_cast<std::size_t>(std::ranges::count_if(*ports, &dataplane::PortState::is_unbacked));
    const std::size_t functions = ports->size() - 1 - unbacked;
    if (functions == config_.eswitch.functions && unbacked == config_.eswitch.unbacked_functions)
      co_return Result<void>();
    co_return fail(
        Code::kFailedPrecondition, "PORTS_DIFFER",
        fmt::format("the eSwitch has {} functions and {} unbacked ones, the configuration {} and {}",
                    functions, unbacked, config_.eswitch.functions, config_.eswitch.unbacked_functions));
  }

  // Of berthd as a whole, and of its services: none is of much use without the others.
  void tell_health(rpc::Health::Status status) {
    health_.set("", status);
    for (const char* service : kServices) health_.set(service, status);
  }

  Result<void> listen() {
    attachments_.add_to(server_);
    inspection_.add_to(server_);
    topology_.add_to(server_);
    vpc_control_.add_to(server_);
    health_.add_to(server_);
    tell_health(rpc::Health::Status::kServing);
    for (const char* service : kServices) {
      if (auto complete = server_.require_complete(service); !complete) return complete;
    }
    rpc::add_reflection(server_);
    server_.set_authorize(
        [domain = config_.api.trust_domain](const rpc::Peer& peer, std::string_view method) -> Result<void> {
          const auto role = agent::role_of(peer.uri_sans, domain);
          if (!role) return pass(role);
          return agent::authorize(*role, method);
        });
    server_.set_refused([this](const std::string& address, const Error& why) {
      if (const auto untold = refused_.tell(std::chrono::steady_clock::now()))
        log_event(LogLevel::kWarning, "peer refused",
                  {{"peer", address}, {"error", why.message}, {"others", *untold}});
    });
    return server_.listen();
  }

  const agent::Config& config_;
  const host::LinkState& uplink_;
  dataplane::Eswitch& eswitch_;
  agent::StateDb& state_;
  host::Neighbours& neighbours_;
  std::unique_ptr<northbound::CompletionSender> sender_;  // null: nobody is told of completions
  host::qemu::QemuPlug plug_;
  host::NetlinkChannel netlink_;
  agent::HostSide host_side_;
  agent::Agent agent_;
  northbound::Attachments attachments_;
  northbound::Inspection inspection_;
  agent::TopologyView topology_view_{"/"};
  northbound::Topology topology_;
  southbound::VpcControl vpc_control_;
  rpc::Health health_;
  rpc::Server server_;
  LogLimit refused_{std::chrono::seconds(10)};
  TaskGroup tasks_;
  TaskGroup holder_;  // what the agent needs to stop in good order
};

Result<void> serve(const agent::Config& config) {
  const auto uplink = check_uplink(config);
  if (!uplink) return pass(uplink);
  asio::io_context io(1);  // before whatever has threads, which resume coroutines on it
  auto state = open_state(config);
  if (!state) return pass(state, "state");
  std::optional<host::VtepPort> vtep_port;
  std::unique_ptr<EmbeddedEswitch> embedded;
  std::optional<RemoteEswitch> remote;
  if (config.eswitch.kind == "remote") {
    remote.emplace(io.get_executor(), config.eswitch.socket.string(), ::geteuid());
  } else {
    auto claimed = host::VtepPort::claim(config.underlay.vtep, dataplane::kVxlanUdpPort);
    if (!claimed) return pass(claimed);
    vtep_port.emplace(*std::move(claimed));
    auto opened = eswitchd::open_eswitch(config.underlay, config.eswitch);
    if (!opened) return pass(opened);
    embedded = *std::move(opened);
  }
  dataplane::Eswitch& eswitch = remote ? static_cast<dataplane::Eswitch&>(*remote) : *embedded;
  const auto neighbours = host::Neighbours::open(io.get_executor());
  if (!neighbours) return pass(neighbours);
  Daemon daemon(io, config, *uplink, eswitch, *state, **neighbours);
  return run_to_end(io, daemon.run(remote ? &*remote : nullptr));
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  CLI::App app("berthd: attaches VMs to VPCs on this host's eSwitch");
  std::string config_file;
  app.add_option("--config", config_file, "TOML file; see docs/examples/berthd.toml")->required();
  bool only_checks = false;
  app.add_flag("--check-config", only_checks, "only say what is wrong with that file");
  app.set_version_flag("--version", "berthd " BERTH_VERSION);
  CLI11_PARSE(app, argc, argv);

  std::signal(SIGPIPE, SIG_IGN);  // vhost-user and TLS peers go away whenever they like
  const auto config = berth::agent::load_config(config_file);
  if (!config) {
    berth::log_event(berth::LogLevel::kError, "bad configuration", {{"error", config.error().message}});
    return 2;
  }
  if (only_checks) return 0;
  berth::set_log_level(config->log.level);
  const auto served = berth::serve(*config);
  if (!served) {
    berth::log_event(berth::LogLevel::kError, "cannot serve",
                     {{"reason", served.error().reason}, {"error", served.error().message}});
    return 1;
  }
  return 0;
}
